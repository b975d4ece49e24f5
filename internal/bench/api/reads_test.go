//go:build bench

package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"mediad/internal/bench"
	"mediad/internal/testx"
)

// binary is what `make build` leaves.
const binary = "../../../bin/mediad"

// The load of the API: readers, each with a connection of its own; the rate that the contract names; how long each row is measured.
const (
	apiReaders  = 16
	apiRate     = 2000
	apiMeasured = 8 * time.Second
)

// bareGin has, in a process of its own, the address to listen at and the body to answer.
const bareGin = "MEDIAD_BENCH_GIN"

// TestBareGin is the peer of TestAPIReads, which runs it: a Gin handler that does nothing but answer.
func TestBareGin(t *testing.T) {
	addr, body, ok := strings.Cut(os.Getenv(bareGin), " ")
	if !ok {
		t.Skip("TestAPIReads runs it")
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/api/v1/streams/:stream", func(c *gin.Context) { c.Data(http.StatusOK, "application/json; charset=utf-8", []byte(body)) })
	t.Fatal(http.ListenAndServe(addr, engine))
}

// TestAPIReads: reads a second with as many readers as keep the server busy, delay at 2 000 a second, and processor time of each; beside a bare
// Gin handler with the same body. Anonymous readers of one question share answers; those who are signed in, or ask something else each time, do not.
func TestAPIReads(t *testing.T) {
	us, err := bench.StartMediad(binary, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(us.Stop)
	testx.WaitForServer(t, us.HTTP)
	const path = "/api/v1/streams/main"
	answer, err := http.Get("http://" + us.HTTP + path)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	answer.Body.Close()
	port, err := bench.FreePort()
	require.NoError(t, err)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	bare, err := bench.Start("gin", []string{bareGin + "=" + addr + " " + string(body)}, os.Args[0], "-test.run=^TestBareGin$")
	require.NoError(t, err)
	t.Cleanup(bare.Stop)
	testx.WaitForServer(t, addr)
	token := register(t, us.HTTP)

	same := func(int) string { return path }
	each := func(n int) string { return fmt.Sprintf("%s?n=%d", path, n) }
	for _, row := range []struct {
		name    string
		process *bench.Process
		addr    string
		path    func(n int) string
		token   string
	}{
		{"bare Gin", bare, addr, same, ""},
		{"cached", us.Process, us.HTTP, same, ""},
		{"uncached", us.Process, us.HTTP, each, ""},
		{"uncached, signed in", us.Process, us.HTTP, same, token},
	} {
		ask := apiLoad{addr: row.addr, path: row.path, token: row.token}
		ask.run(t, 0, time.Second) // connections, pools and caches are warm then
		before := row.process.CPU()
		busy := ask.run(t, 0, apiMeasured)
		cpu := row.process.CPU() - before
		paced := ask.run(t, apiRate, apiMeasured)
		t.Logf("%-20s %6.0f reads/s, p99 %5.1f ms, %3.0f µs CPU each; at %d/s p50 %4.1f ms, p99 %5.1f ms", row.name,
			float64(len(busy))/apiMeasured.Seconds(), quantile(busy, 0.99), float64(cpu.Microseconds())/float64(len(busy)),
			apiRate, quantile(paced, 0.5), quantile(paced, 0.99))
	}
	before, began := us.CPU(), time.Now()
	const logins = 20
	for range logins {
		login(t, us.HTTP)
	}
	t.Logf("login: %.0f ms, %.0f ms CPU", float64(time.Since(began).Milliseconds())/logins, float64((us.CPU()-before).Milliseconds())/logins)
}

func register(t *testing.T, addr string) string {
	t.Helper()
	return apiPost(t, addr, "/api/v1/auth/register", `{"username":"bench","password":"correct horse battery"}`)
}

func login(t *testing.T, addr string) {
	t.Helper()
	apiPost(t, addr, "/api/v1/auth/login", `{"login":"bench","password":"correct horse battery"}`)
}

// apiPost sends a user's name and password, and returns the access token of the answer.
func apiPost(t *testing.T, addr, path, body string) string {
	t.Helper()
	r, err := http.Post("http://"+addr+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer r.Body.Close()
	var v struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(r.Body).Decode(&v))
	require.NotEmpty(t, v.Token, r.Status)
	return v.Token
}

// quantile is the value below which that share of the values lies.
func quantile(values []float64, share float64) float64 {
	slices.Sort(values)
	return values[min(len(values)-1, int(float64(len(values))*share))]
}

// apiLoad is what the readers ask for.
type apiLoad struct {
	addr, token string
	path        func(n int) string
}

// run reads for a time: as fast as it goes, or rate a second. It returns the delay of each read in ms, with a rate from the moment at which it was
// due.
func (l apiLoad) run(t *testing.T, rate int, long time.Duration) []float64 {
	t.Helper()
	var mu sync.Mutex
	var all []float64
	var fault error
	var readers sync.WaitGroup
	began := time.Now()
	for reader := range apiReaders {
		readers.Go(func() {
			took, err := l.read(reader, rate, began, long)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				fault = err
			}
		})
	}
	readers.Wait()
	require.NoError(t, fault)
	return all
}

func (l apiLoad) read(reader, rate int, began time.Time, long time.Duration) (took []float64, err error) {
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	head := " HTTP/1.1\r\nHost: " + l.addr + "\r\n"
	if l.token != "" {
		head += "Authorization: Bearer " + l.token + "\r\n"
	}
	for n := reader; ; n += apiReaders {
		due := time.Now()
		if rate > 0 {
			due = began.Add(time.Duration(n) * time.Second / time.Duration(rate))
			time.Sleep(time.Until(due))
		}
		if due.Sub(began) >= long {
			return took, nil
		}
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return took, err
		}
		if _, err := io.WriteString(c, "GET "+l.path(int(began.UnixMilli()%1e6)*1e6+n)+head+"\r\n"); err != nil {
			return took, err
		}
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return took, err
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return took, err
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return took, fmt.Errorf("%s", r.Status)
		}
		took = append(took, float64(time.Since(due).Microseconds())/1000)
	}
}
