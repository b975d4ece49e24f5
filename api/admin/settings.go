package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/patch"
	"mediad/api/problem"
	"mediad/api/setting"
)

// The keys that may be changed while the server runs.
const (
	Registration     = "auth.registration"
	StreamerApproval = "auth.streamer_approval"
	LiveSessions     = "limits.live_sessions"
)

// RunningKeys lists them.
func RunningKeys() []string { return []string{Registration, StreamerApproval, LiveSessions} }

func (h *handlers) registerSettings(api huma.API, op func(id, method, path, summary string, status int, more ...problem.Code) huma.Operation) {
	huma.Register(api, op("getSettings", http.MethodGet, "/admin/settings", "What may be changed while the server runs", http.StatusOK),
		problem.Handle(h.Log, h.settings))
	huma.Register(api, op("updateSettings", http.MethodPatch, "/admin/settings", "Change it", http.StatusOK, problem.VersionMismatch, problem.IfMatchRequired),
		problem.Handle(h.Log, h.changeSettings))
}

// SettingBody is a key of the configuration with its value.
type SettingBody struct {
	Key         string `json:"key" doc:"As in the configuration" example:"auth.registration"`
	Value       any    `json:"value" doc:"What counts: a text or a whole number" example:"\"closed\""`
	Default     any    `json:"default" doc:"What a server has that was told nothing" example:"\"open\""`
	Source      string `json:"source" doc:"Where the value is from: default, file, env, db" example:"db"`
	Description string `json:"description" example:"who may register"`
}

// SettingsBody has every key that may be changed.
type SettingsBody struct {
	Items []SettingBody `json:"items" nullable:"false"`
}

type settingsOutput struct {
	ETag string `header:"ETag" hidden:"true"`
	Body SettingsBody
}

func (h *handlers) settings(ctx context.Context, _ *struct{}) (*settingsOutput, error) {
	states, version, err := h.Settings.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &settingsOutput{ETag: patch.VersionTag(version), Body: SettingsBody{Items: make([]SettingBody, len(states))}}
	for i, s := range states {
		out.Body.Items[i] = SettingBody{s.Path, typed(s.Key, s.Now), typed(s.Key, s.Default), s.Source, s.Help}
	}
	return out, nil
}

// typed is a value as JSON has it.
func typed(k setting.Key, value string) any {
	if n, err := strconv.Atoi(value); k.Number && err == nil {
		return n
	}
	return value
}

// SettingsPatch changes values; null takes one back to what file, environment or default say.
type SettingsPatch struct {
	Registration     patch.Field[string] `json:"auth.registration,omitempty" doc:"open, invite, closed" example:"closed"`
	StreamerApproval patch.Field[string] `json:"auth.streamer_approval,omitempty" doc:"auto, manual" example:"manual"`
	LiveSessions     patch.Field[int]    `json:"limits.live_sessions,omitempty" doc:"0: any number" example:"2"`
}

type settingsInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of what is changed; needed" example:"\"v1-kq3zJ0p5xg\""`
	Body    SettingsPatch
}

func (h *handlers) changeSettings(ctx context.Context, in *settingsInput) (*settingsOutput, error) {
	if in.IfMatch == "" {
		return nil, problem.New(problem.IfMatchRequired, "Send the ETag of GET /api/v1/admin/settings as If-Match.")
	}
	version, err := patch.Matched(in.IfMatch)
	if err != nil {
		return nil, err
	}
	values := map[string]*string{}
	put := func(path string, present, null bool, value string) {
		switch {
		case present && null:
			values[path] = nil
		case present:
			values[path] = &value
		}
	}
	b := in.Body
	put(Registration, b.Registration.Present, b.Registration.Null, b.Registration.Value)
	put(StreamerApproval, b.StreamerApproval.Present, b.StreamerApproval.Null, b.StreamerApproval.Value)
	put(LiveSessions, b.LiveSessions.Present, b.LiveSessions.Null, strconv.Itoa(b.LiveSessions.Value))
	err = h.Settings.Change(ctx, version, values)
	var bad *setting.Invalid
	switch {
	case errors.As(err, &bad):
		p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
		code := "invalid_enum"
		if bad.Number {
			code = "out_of_range"
		}
		p.Errors = []problem.Field{{Pointer: "/" + bad.Path, Code: code, Message: bad.Message}}
		return nil, p
	case errors.Is(err, setting.ErrVersion):
		return nil, problem.New(problem.VersionMismatch, "The settings were changed meanwhile. Read them again.")
	case err != nil:
		return nil, err
	}
	return h.settings(ctx, nil)
}
