package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/caller"
	"mediad/api/once"
	"mediad/api/problem"
	"mediad/store/db/dbtest"
	"mediad/store/seal"
)

type paidOutput struct{ Body int }

// TestMoneyNeedsAnIdempotencyKey puts an operation that moves money behind a gate of its own, as none is mounted yet.
func TestMoneyNeedsAnIdempotencyKey(t *testing.T) {
	secrets, err := seal.New([]byte(strings.Repeat("m", 32)))
	require.NoError(t, err)
	g := &gate{
		rules:  map[string]rule{"pay": {once: true}},
		once:   once.New(once.Options{DB: dbtest.Open(t), Secrets: secrets, Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }}),
		denied: func(context.Context, string) error { return nil },
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	api := humagin.New(engine, humaConfig())
	api.UseMiddleware(g.pass)
	paid := 0
	huma.Register(api, problem.Document(api, huma.Operation{OperationID: "pay", Method: http.MethodPost, Path: "/pay", DefaultStatus: http.StatusCreated}),
		func(context.Context, *struct{}) (*paidOutput, error) {
			paid++
			return &paidOutput{Body: paid}, nil
		})
	require.NoError(t, g.complete(api.OpenAPI()))
	op := api.OpenAPI().Paths["/pay"].Post
	require.NotEmpty(t, op.Parameters)
	assert.True(t, op.Parameters[0].Required)
	assert.Equal(t, "Idempotency-Key", op.Parameters[0].Name)

	call := func(key string) *answer {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/pay", http.NoBody)
		a := newAnswer()
		ctx := caller.With(r.Context(), caller.Caller{UserID: "u", Role: caller.Viewer, Via: caller.Session})
		ctx = context.WithValue(ctx, routeKey{}, &routeNote{answer: a})
		if key != "" {
			r.Header.Set(keyHeader, key)
		}
		engine.ServeHTTP(a, r.WithContext(ctx))
		return a
	}
	a := call("")
	assert.Equal(t, http.StatusBadRequest, a.status)
	assert.Contains(t, a.body.String(), string(problem.IdempotencyKeyRequired))
	assert.Zero(t, paid)
	first, again := call("order-1"), call("order-1")
	assert.Equal(t, http.StatusCreated, first.status)
	assert.Equal(t, http.StatusCreated, again.status)
	assert.Equal(t, first.body.String(), again.body.String())
	assert.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	assert.Equal(t, 1, paid, "a retried order counts once")
	call("order-2")
	assert.Equal(t, 2, paid)
}
