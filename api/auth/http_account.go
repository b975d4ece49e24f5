package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/account"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// PasswordBody changes the password.
type PasswordBody struct {
	CurrentPassword string `json:"current_password" example:"correct horse battery"`
	NewPassword     string `json:"new_password" doc:"10 to 128 characters, not one that everybody knows" example:"staple of the battery"`
}

type passwordInput struct{ Body PasswordBody }

func (h *handlers) changePassword(ctx context.Context, in *passwordInput) (*struct{}, error) {
	return nil, newPassword(h.service.ChangePassword(ctx, in.Body.CurrentPassword, in.Body.NewPassword))
}

// newPassword points the refusal of a password to the field that it has here.
func newPassword(err error) error {
	refusal := account.Refusal(err)
	var p *problem.Problem
	if errors.As(refusal, &p) && len(p.Errors) == 1 && p.Errors[0].Pointer == "/password" {
		p.Errors[0].Pointer = "/new_password"
	}
	return refusal
}

// ResetRequestBody names an account.
type ResetRequestBody struct {
	Login string `json:"login" doc:"Username or address" example:"anna"`
}

type resetRequestInput struct{ Body ResetRequestBody }

func (h *handlers) requestReset(ctx context.Context, in *resetRequestInput) (*struct{}, error) {
	h.service.RequestReset(ctx, in.Body.Login)
	return nil, nil
}

// ResetBody sets a new password.
type ResetBody struct {
	Token       string `json:"token" doc:"Of the link" example:"mdc_7fJq"`
	NewPassword string `json:"new_password" doc:"10 to 128 characters, not one that everybody knows" example:"staple of the battery"`
}

type resetInput struct{ Body ResetBody }

func (h *handlers) reset(ctx context.Context, in *resetInput) (*struct{}, error) {
	return nil, newPassword(h.service.Reset(ctx, in.Body.Token, in.Body.NewPassword))
}

// VerifyBody has the code of a mail.
type VerifyBody struct {
	Token string `json:"token" example:"mdc_7fJq"`
}

type verifyInput struct{ Body VerifyBody }

func (h *handlers) verifyEmail(ctx context.Context, in *verifyInput) (*struct{}, error) {
	return nil, h.service.VerifyEmail(ctx, in.Body.Token)
}

// TOTPBody is a new second factor.
type TOTPBody struct {
	Secret        string   `json:"secret" doc:"Base32" example:"JBSWY3DPEHPK3PXP"`
	URI           string   `json:"otpauth_uri" doc:"For a QR code" example:"otpauth://totp/mediad:anna?secret=JBSWY3DPEHPK3PXP&issuer=mediad"`
	RecoveryCodes []string `json:"recovery_codes" nullable:"false" doc:"Each good once in the place of a code" example:"[\"abcd-efgh-ijkl-mnop\"]"`
}

type totpOutput struct{ Body TOTPBody }

func (h *handlers) newTOTP(ctx context.Context, _ *struct{}) (*totpOutput, error) {
	made, err := h.service.NewTOTP(ctx)
	if err != nil {
		return nil, err
	}
	return &totpOutput{Body: TOTPBody(made)}, nil
}

// CodeBody has a code of the second factor.
type CodeBody struct {
	Code string `json:"code" doc:"Six digits" example:"123456"`
}

type codeInput struct{ Body CodeBody }

func (h *handlers) confirmTOTP(ctx context.Context, in *codeInput) (*struct{}, error) {
	return nil, h.service.ConfirmTOTP(ctx, in.Body.Code)
}

func (h *handlers) removeTOTP(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return nil, h.service.RemoveTOTP(ctx)
}

func (h *handlers) registerTokens(api huma.API, log *slog.Logger) {
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listAPITokens", Method: http.MethodGet, Path: "/api/v1/me/api-tokens", Tags: []string{tag}, Summary: "API tokens of the caller",
		Description: "The newest first, without their secrets.",
	}, problem.Unauthenticated, problem.ScopeMissing, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(log, h.tokens))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "createAPIToken", Method: http.MethodPost, Path: "/api/v1/me/api-tokens", Tags: []string{tag}, Summary: "Make an API token",
		Description: "It does what its scopes and its user's role both allow. The token is shown this once.", DefaultStatus: http.StatusCreated,
	}, problem.Unauthenticated, problem.ScopeMissing, problem.LimitReached, problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed),
		problem.Handle(log, h.createToken))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getAPIToken", Method: http.MethodGet, Path: "/api/v1/me/api-tokens/{id}", Tags: []string{tag}, Summary: "An API token of the caller",
		Description: "Without its secret.",
	}, problem.Unauthenticated, problem.ScopeMissing, problem.NotFound, problem.InvalidParameter), problem.Handle(log, h.token))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "deleteAPIToken", Method: http.MethodDelete, Path: "/api/v1/me/api-tokens/{id}", Tags: []string{tag}, Summary: "End an API token",
		DefaultStatus: http.StatusNoContent,
	}, problem.Unauthenticated, problem.ScopeMissing, problem.NotFound), problem.Handle(log, h.deleteToken))
}

// TokenBody is an API token.
type TokenBody struct {
	ID         string   `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000061"`
	CreatedAt  string   `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt  string   `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Label      string   `json:"label" example:"Chat bot"`
	Scopes     []string `json:"scopes" nullable:"false" example:"[\"chat:read\",\"chat:write\"]"`
	Hint       string   `json:"hint" doc:"Its last four characters" example:"x7Qp"`
	ExpiresAt  *string  `json:"expires_at" format:"date-time" doc:"null: never" example:"2027-03-01T12:00:00.000Z"`
	LastUsedAt *string  `json:"last_used_at" format:"date-time" doc:"To the minute; null: never" example:"2026-03-01T12:00:00.000Z"`
	Token      string   `json:"token,omitempty" doc:"Only in the answer to its making" example:"mdt_0f3K"`
}

// TokensBody is a page.
type TokensBody struct {
	Items      []TokenBody `json:"items" nullable:"false"`
	NextCursor *string     `json:"next_cursor" doc:"null: this was the last page"`
}

func tokenBody(t db.APIToken) TokenBody {
	stamp := func(m *db.Millis) *string {
		if m == nil {
			return nil
		}
		text := problem.Stamp(m.Time())
		return &text
	}
	return TokenBody{
		ID: t.ID, CreatedAt: problem.Stamp(t.CreatedAt.Time()), UpdatedAt: problem.Stamp(t.CreatedAt.Time()), Label: t.Label, Scopes: t.Scopes,
		Hint: t.Hint, ExpiresAt: stamp(t.ExpiresAt), LastUsedAt: stamp(t.LastUsedAt),
	}
}

type tokensOutput struct{ Body TokensBody }

func (h *handlers) tokens(ctx context.Context, in *pageInput) (*tokensOutput, error) {
	list := "api-tokens " + caller.Of(ctx).UserID
	before, err := h.before(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := h.service.Tokens(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &tokensOutput{Body: TokensBody{Items: []TokenBody{}}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next, err := h.cursors.Seal(list, found[in.Limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	for _, t := range found {
		out.Body.Items = append(out.Body.Items, tokenBody(t))
	}
	return out, nil
}

type oneTokenOutput struct{ Body TokenBody }

func (h *handlers) token(ctx context.Context, in *idInput) (*oneTokenOutput, error) {
	row, err := h.service.Token(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &oneTokenOutput{tokenBody(row)}, nil
}

// NewTokenBody is an API token to be made.
type NewTokenBody struct {
	Label     string     `json:"label" doc:"1 to 60 characters" example:"Chat bot"`
	Scopes    []string   `json:"scopes" nullable:"false" doc:"One or more of profile, videos:read, videos:write, streams:read, streams:write, chat:read, chat:write, interactions, gifts, wallet:read, webhooks, moderation, admin" example:"[\"chat:read\",\"chat:write\"]"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Absent: never" example:"2027-03-01T12:00:00.000Z"`
}

type newTokenInput struct{ Body NewTokenBody }

type tokenOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     TokenBody
}

func (h *handlers) createToken(ctx context.Context, in *newTokenInput) (*tokenOutput, error) {
	row, secret, err := h.service.CreateToken(ctx, NewToken{Label: in.Body.Label, Scopes: in.Body.Scopes, ExpiresAt: in.Body.ExpiresAt})
	if err != nil {
		return nil, account.Refusal(err)
	}
	out := &tokenOutput{Location: "/api/v1/me/api-tokens/" + row.ID, Body: tokenBody(row)}
	out.Body.Token = secret
	return out, nil
}

func (h *handlers) deleteToken(ctx context.Context, in *idInput) (*struct{}, error) {
	return nil, h.service.DeleteToken(ctx, in.ID)
}
