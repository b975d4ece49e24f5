package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/event"
	"mediad/store/job"
)

const (
	// workers is how many deliveries a node has under way: they wait on others.
	workers = 16
	// atOnce is how many of them to one webhook, and turnWait how long one waits for its turn there before another webhook gets its place.
	atOnce   = 4
	turnWait = 5 * time.Second
	// again is when a delivery that got no turn is looked at next.
	again = time.Second
	// orderWait is how long a delivery waits for older ones about the same thing that are on their way, and look how often it looks.
	orderWait = 10 * time.Second
	// orderFor is how old one may be that is waited for: what is older has no job any more, because an admin cancelled it.
	orderFor = time.Minute
	look     = 100 * time.Millisecond
	// headBytes of an answer are kept for the owner to see.
	headBytes = 1 << 10
	// trimEach is with every which event the deliveries of a webhook are trimmed.
	trimEach = 64
)

// arguments of the job of a delivery.
type arguments struct {
	DeliveryID string `json:"delivery_id"`
	// Asked tells apart what an owner asked for while a job of the delivery ran; 0: it came by itself.
	Asked int64 `json:"asked,omitempty"`
}

// Kind implements job.Args.
func (arguments) Kind() string { return "webhook_delivery" }

// Jobs are the kinds of the service.
func (s *Service) Jobs() []job.Kind {
	return []job.Kind{
		job.Of(job.Kind{
			Workers: workers, Timeout: s.o.Timeout + turnWait + orderWait + 5*time.Second, Attempts: len(s.o.Schedule) + 1, Unique: true, Quiet: true,
			Retry: func(attempt int) time.Duration { return s.o.Schedule[min(attempt, len(s.o.Schedule))-1] },
		}, s.deliver),
		job.Periodic("webhook_tidy", time.Hour, s.Tidy),
	}
}

// Tidy deletes old deliveries, and tells how many.
func (s *Service) Tidy(ctx context.Context) (gone int64, err error) {
	const some = 500
	for {
		n, err := s.o.DB.Write(ctx).DeleteDeliveries(db.At(s.o.Now().Add(-keep)), some)
		gone += n
		if err != nil || n < some {
			return gone, err
		}
	}
}

// Take is the outbox's consumer: it makes a delivery for each webhook that the event is for.
func (s *Service) Take(ctx context.Context, e db.Event) error {
	// Most events are for nobody, and a transaction that writes nothing would still keep others waiting.
	hooks, err := s.o.DB.Read(ctx).HooksFor(e.OwnerID, e.Type)
	if err != nil || len(hooks) == 0 {
		return err
	}
	return s.o.DB.Tx(ctx, func(q db.Queries) error {
		hooks, err := q.HooksFor(e.OwnerID, e.Type)
		if err != nil {
			return err
		}
		for _, w := range hooks {
			may, err := s.may(q, w)
			if err != nil {
				return err
			}
			if !may {
				continue
			}
			if _, err := s.enqueue(ctx, q, w, e); err != nil {
				return err
			}
			if e.Seq%trimEach == 0 {
				if err := q.TrimDeliveries(w.ID, keepOf); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// may says whether a webhook's owner may still have what it is for.
func (s *Service) may(q db.Queries, w db.Webhook) (bool, error) {
	u, err := q.FindUser(w.OwnerID)
	if err != nil {
		return false, err
	}
	least := caller.Streamer
	if w.Scope == db.ScopeSite {
		least = caller.Admin
	}
	return !u.Closed() && !u.SuspendedAt(db.At(s.o.Now())) && caller.Role(u.Role).AtLeast(least), nil
}

// message is the body of a delivery.
type message struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	CreatedAt string          `json:"created_at"`
	Data      json.RawMessage `json:"data"`
}

// enqueue makes the delivery of an event, where the webhook does not have it already.
func (s *Service) enqueue(ctx context.Context, q db.Queries, w db.Webhook, e db.Event) (d db.Delivery, err error) {
	id, err := db.NewID()
	if err != nil {
		return d, err
	}
	body, err := json.Marshal(message{e.ID, e.Type, problem.Stamp(e.OccurredAt.Time()), json.RawMessage(e.Data)})
	if err != nil {
		return d, fmt.Errorf("webhook: event %s: %w", e.ID, err)
	}
	now := db.At(s.o.Now())
	d = db.Delivery{
		ID: id, WebhookID: w.ID, EventID: e.ID, Type: e.Type, Key: e.Key, Body: string(body), State: db.DeliveryWaiting, NextAt: &now,
		CreatedAt: now, UpdatedAt: now,
	}
	made, err := q.CreateDelivery(d)
	if err != nil || !made {
		return d, err
	}
	_, _, err = s.o.Jobs.Insert(ctx, q, arguments{DeliveryID: d.ID}, job.Options{Subject: "webhook:" + w.ID})
	return d, err
}

// Try sends an event of the type Test to one of the caller's webhooks, be it active or not.
func (s *Service) Try(ctx context.Context, id string) (d db.Delivery, err error) {
	err = s.o.DB.Tx(ctx, func(q db.Queries) error {
		w, err := s.own(ctx, q, id)
		if err != nil {
			return err
		}
		eventID, err := db.NewID()
		if err != nil {
			return err
		}
		data, err := json.Marshal(map[string]string{"webhook_id": w.ID})
		if err != nil {
			return err
		}
		d, err = s.enqueue(ctx, q, w, db.Event{
			ID: eventID, Type: Test, Key: "webhook:" + w.ID, Data: string(data), OccurredAt: db.At(s.o.Now()),
		})
		return err
	})
	return d, err
}

// Retry has a delivery to one of the caller's webhooks tried again now.
func (s *Service) Retry(ctx context.Context, id, deliveryID string) (d db.Delivery, err error) {
	var at int64
	var inserted bool
	err = s.o.DB.Tx(ctx, func(q db.Queries) error {
		if _, err := s.own(ctx, q, id); err != nil {
			return err
		}
		if d, err = q.FindDelivery(deliveryID); errors.Is(err, db.ErrNotFound) || err == nil && d.WebhookID != id {
			return problem.New(problem.NotFound, "There is no such delivery.")
		}
		if err != nil {
			return err
		}
		now := db.At(s.o.Now())
		d.State, d.NextAt, d.UpdatedAt = db.DeliveryWaiting, &now, now
		if err := q.SaveDelivery(d); err != nil {
			return err
		}
		at, inserted, err = s.o.Jobs.Insert(ctx, q, arguments{DeliveryID: d.ID}, job.Options{Subject: "webhook:" + id})
		return err
	})
	if err != nil || inserted {
		return d, err
	}
	// A job of it waits for its time, which is now. One that runs has sent already, or is about to, and looks at nothing more.
	if err = s.o.Jobs.Retry(ctx, nil, at); errors.Is(err, job.ErrState) || errors.Is(err, job.ErrNotFound) {
		_, _, err = s.o.Jobs.Insert(ctx, nil, arguments{d.ID, s.o.Now().UnixMilli()}, job.Options{Subject: "webhook:" + id})
	}
	return d, err
}

// deliver is one attempt.
func (s *Service) deliver(ctx context.Context, j *job.Job, a arguments) error {
	q := s.o.DB.Write(ctx) // a replica may not have it yet
	d, err := q.FindDelivery(a.DeliveryID)
	var w db.Webhook
	if err == nil {
		w, err = q.FindWebhook(d.WebhookID)
	}
	switch {
	case errors.Is(err, db.ErrNotFound):
		return nil // deleted meanwhile
	case err != nil:
		return err
	case d.State != db.DeliveryWaiting:
		return nil // an attempt whose end was not noted by its job
	}
	if d.Error, err = s.barred(q, w, d); err != nil {
		return err
	}
	if d.Error != "" {
		return s.notSent(ctx, q, j, w, d)
	}
	if err := s.order(ctx, q, d); err != nil {
		return err
	}
	done, ok := s.turn(ctx, w)
	if !ok {
		return job.Later(again)
	}
	defer done()
	sent := s.send(ctx, w, d)
	if ctx.Err() != nil && sent.Error != "" {
		return ctx.Err() // the node stops: it says nothing of their server
	}
	d.Status, d.Error, d.DurationMS, d.ResponseHead = sent.Status, sent.Error, sent.DurationMS, sent.ResponseHead
	d.Attempt++
	good := d.Status >= 200 && d.Status < 300
	switch {
	case good:
		d.State, d.NextAt = db.DeliveryDelivered, nil
	case j.Attempt >= j.MaxAttempts:
		d.State, d.NextAt = db.DeliveryFailed, nil
	default:
		d.NextAt = db.AtPtr(s.o.Now().Add(s.o.Schedule[min(j.Attempt, len(s.o.Schedule))-1]))
	}
	if err := s.finish(ctx, j, d, good); err != nil || good {
		return err
	}
	return fmt.Errorf("not delivered: status %d %s", d.Status, d.Error)
}

// finish stores how an attempt ended, and what that says of the webhook.
func (s *Service) finish(ctx context.Context, j *job.Job, d db.Delivery, good bool) error {
	now := s.o.Now()
	d.UpdatedAt = db.At(now)
	return s.o.DB.Tx(ctx, func(q db.Queries) error {
		if err := j.Hold(q); err != nil {
			return err
		}
		if err := q.SaveDelivery(d); err != nil {
			if errors.Is(err, db.ErrNotFound) {
				return nil
			}
			return err
		}
		w, err := q.FindWebhook(d.WebhookID)
		if err != nil {
			return err
		}
		switch {
		case !good && (d.Type == Test || slices.Contains([]string{notActive, suspended, notMay}, d.Error)):
			return nil // that was no failure of what happens by itself
		case good && w.FailingSince == nil, !good && w.FailingSince != nil && now.Sub(w.FailingSince.Time()) < patience, w.DisabledAt != nil:
			return nil
		case good:
			w.FailingSince = nil
		case w.FailingSince == nil:
			w.FailingSince = db.AtPtr(now)
		default:
			return s.disable(ctx, q, w, now)
		}
		return q.SaveWebhook(w)
	})
}

// disable ends a webhook that has taken nothing for days, and tells its owner.
func (s *Service) disable(ctx context.Context, q db.Queries, w db.Webhook, now time.Time) error {
	w.DisabledAt, w.UpdatedAt = db.AtPtr(now), db.At(now)
	if err := q.SaveWebhook(w); err != nil {
		return err
	}
	s.o.Log.WarnContext(ctx, "webhook disabled: it took nothing for days", "webhook", w.ID, "owner_id", w.OwnerID)
	err := event.Emit(q, event.Event{Type: event.WebhookDisabled, Key: "webhook:" + w.ID, OwnerID: w.OwnerID, Data: map[string]string{
		"webhook_id": w.ID, "owner_id": w.OwnerID, "failing_since": problem.Stamp(w.FailingSince.Time()),
	}}, now)
	if err != nil {
		return err
	}
	return s.o.Audit.Add(ctx, q, audit.Entry{Action: "webhook.disable", TargetType: "webhook", TargetID: w.ID, Reason: "it took nothing for three days"})
}

// turn waits until few enough deliveries to the webhook are under way; false: it took too long. To one that fails there is one at a time,
// and nobody waits for it.
func (s *Service) turn(ctx context.Context, w db.Webhook) (done func(), ok bool) {
	most, wait := atOnce, turnWait
	if w.FailingSince != nil {
		most, wait = 1, 0
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		s.mu.Lock()
		if s.busy[w.ID] < most {
			s.busy[w.ID]++
			s.mu.Unlock()
			return func() { s.leave(w.ID) }, true
		}
		free := s.free[w.ID]
		if free == nil {
			free = make(chan struct{})
			s.free[w.ID] = free
		}
		s.mu.Unlock()
		select {
		case <-free:
		case <-late.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
}

// leave gives a turn back and wakes who waits.
func (s *Service) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[id]--; s.busy[id] == 0 {
		delete(s.busy, id)
	}
	if free := s.free[id]; free != nil {
		close(free)
		delete(s.free, id)
	}
}

// order waits for older deliveries about the same thing that were not tried yet. One whose first attempt has failed keeps nobody back.
func (s *Service) order(ctx context.Context, q db.Queries, d db.Delivery) error {
	if d.Attempt > 0 {
		return nil
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	late := time.NewTimer(orderWait)
	defer late.Stop()
	for {
		waits, err := q.WaitsBefore(d, db.At(s.o.Now().Add(-orderFor)))
		if err != nil || !waits {
			return err
		}
		select {
		case <-tick.C:
		case <-late.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send posts a delivery, signed with every secret that is good now.
func (s *Service) send(ctx context.Context, w db.Webhook, d db.Delivery) (out db.Delivery) {
	began := time.Now()
	defer func() { out.DurationMS = time.Since(began).Milliseconds() }()
	now := s.o.Now()
	signature, err := s.signatures(w, d, now)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "webhook: its secret cannot be opened", "webhook", w.ID, "error", err)
		out.Error = "secret"
		return out
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader(d.Body))
	if err != nil {
		out.Error = "url"
		return out
	}
	if r.URL.Scheme == "http" && !s.o.Loopback {
		out.Error = "blocked" // it was allowed when it was made
		return out
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "mediad-webhooks/1")
	r.Header.Set("Webhook-Id", d.EventID)
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Webhook-Signature", signature)
	answer, err := s.client.Do(r)
	if err != nil {
		out.Error = why(err)
		return out
	}
	defer answer.Body.Close()
	// The rest is not read: the connection is closed with it.
	head, _ := io.ReadAll(io.LimitReader(answer.Body, headBytes))
	out.Status, out.ResponseHead = answer.StatusCode, text(head)
	return out
}

// text is what can be shown of an answer.
func text(head []byte) string {
	clean := bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, head)
	return strings.ToValidUTF8(string(clean), "")
}

func (s *Service) signatures(w db.Webhook, d db.Delivery, now time.Time) (string, error) {
	sealed := []string{w.SecretEnc}
	if w.OldSecretEnc != "" && w.OldUntil != nil && db.At(now) < *w.OldUntil {
		sealed = append(sealed, w.OldSecretEnc)
	}
	var all []string
	for _, one := range sealed {
		secret, err := s.o.Secrets.Open(purpose(w.ID), one)
		if err != nil {
			return "", err
		}
		signature, err := sign(secret, d.EventID, now, d.Body)
		if err != nil {
			return "", err
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}
