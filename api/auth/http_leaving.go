package auth

import (
	"context"

	"mediad/api/account"
	"mediad/api/caller"
	"mediad/api/patch"
	"mediad/api/problem"
)

// LeaveBody has the password once more.
type LeaveBody struct {
	Password string `json:"password" example:"correct horse battery"`
}

type leaveInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of what is deleted; 412 if it was changed meanwhile"`
	Body    LeaveBody
}

// LeftBody says until when the account may be had back.
type LeftBody struct {
	ErasedAt string `json:"erased_at" format:"date-time" doc:"When nothing of it is left" example:"2026-03-15T12:00:00.000Z"`
}

type leftOutput struct{ Body LeftBody }

func (h *handlers) leave(ctx context.Context, in *leaveInput) (*leftOutput, error) {
	version, err := patch.Matched(in.IfMatch)
	if err != nil {
		return nil, err
	}
	erased, streams, err := h.service.Leave(ctx, version, in.Body.Password)
	if err != nil {
		return nil, account.Refusal(err)
	}
	h.left(ctx, caller.Of(ctx).UserID, streams)
	return &leftOutput{LeftBody{problem.Stamp(erased)}}, nil
}

// RestoreBody is whose account is opened again.
type RestoreBody struct {
	Login    string `json:"login" doc:"Username or address" example:"anna"`
	Password string `json:"password" example:"correct horse battery"`
	TOTP     string `json:"totp,omitempty" doc:"Code of the second factor, or a recovery code; where there is one" example:"123456"`
}

type restoreInput struct{ Body RestoreBody }

func (h *handlers) restore(ctx context.Context, in *restoreInput) (*struct{}, error) {
	return nil, h.service.Restore(ctx, Login{Login: in.Body.Login, Password: in.Body.Password, TOTP: in.Body.TOTP})
}
