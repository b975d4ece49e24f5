package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/api/stream"
	"mediad/live"
	"mediad/store/db"
	"mediad/store/event"
)

// TestHealthIsAnEventWhenItsAlertsChange, however often they come and go.
func TestHealthIsAnEventWhenItsAlertsChange(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	status := live.Status{Stream: "main", SessionID: "s1", State: live.StateLive}
	on := []live.Status{status}
	var told [][]stream.Advice
	var fails error
	h := &healthWatch{
		live: func() []live.Status { return on }, now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler), told: map[string]toldHealth{},
		note: func(_ context.Context, session string, alerts []stream.Advice, _ time.Time) error {
			require.Equal(t, "s1", session)
			if fails == nil {
				told = append(told, alerts)
			}
			return fails
		},
	}
	alerts := func(codes ...live.AlertCode) {
		on[0].Alerts = nil
		for _, c := range codes {
			on[0].Alerts = append(on[0].Alerts, live.Alert{Code: c, Severity: live.SeverityWarning})
		}
	}
	look := func(pass time.Duration) {
		now = now.Add(pass)
		h.look(t.Context())
	}
	look(healthLook)
	require.Empty(t, told, "nothing is wrong, as before")
	alerts(live.AlertGOPTooLong, live.AlertAudioMissing)
	look(healthLook)
	alerts(live.AlertAudioMissing, live.AlertGOPTooLong)
	look(healthEach)
	require.Equal(t, [][]stream.Advice{{{Code: "audio_missing", Severity: "warning"}, {Code: "gop_too_long", Severity: "warning"}}}, told, "in whatever order")

	for i := range 50 { // one that comes and goes with each look
		alerts([]live.AlertCode{live.AlertFPSDrop, live.AlertGOPTooLong}[i%2])
		look(healthLook)
	}
	require.LessOrEqual(t, len(told), 1+10+1)
	told = nil

	on[0].State, on[0].Alerts = live.StateReconnecting, nil
	look(healthEach)
	require.Empty(t, told, "of who is away nothing is known")
	on[0].State = live.StateLive
	fails = errors.New("the database is away")
	look(healthEach)
	fails = nil
	look(healthLook)
	require.Empty(t, told)
	look(healthEach)
	require.Equal(t, [][]stream.Advice{{}}, told, "and that all is well is told, too")
	on = nil
	look(healthLook)
	require.Empty(t, h.told, "of what is over nothing is kept")
}

// TestAHealthEventNamesItsBroadcast and who owns it.
func TestAHealthEventNamesItsBroadcast(t *testing.T) {
	rows, say := rowsOf(t)
	const id = "0198f2a0-0000-7000-8000-000000000021"
	advice := []stream.Advice{{Code: "gop_too_long", Severity: "warning"}}
	require.ErrorIs(t, rows.streams.NoteHealth(t.Context(), id, advice, time.Now()), stream.ErrNotFound)
	say(live.EpochStarted, epoch(7))
	say(live.SessionStarted)
	require.NoError(t, rows.streams.NoteHealth(t.Context(), id, advice, time.Now()))
	events, err := rows.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	last := events[len(events)-1]
	row, err := rows.streams.Find(t.Context(), mainStream)
	require.NoError(t, err)
	require.Equal(t, db.Event{Type: event.StreamHealth, Key: "stream:" + row.ID, OwnerID: row.OwnerID}, db.Event{Type: last.Type, Key: last.Key, OwnerID: last.OwnerID})
	require.JSONEq(t, `{"stream_id":"`+row.ID+`","slug":"main","owner_id":"`+row.OwnerID+`","session_id":"`+id+`","epoch":7,"protocol":"rtmp",
		"alerts":[{"code":"gop_too_long","severity":"warning"}]}`, last.Data)
}
