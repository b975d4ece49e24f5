package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/cache"
)

func TestMain(m *testing.M) { testx.Main(m) }

type thing struct{ id, name, value string }

var errNone = errors.New("none")

// shelf is where rows are loaded from.
type shelf struct {
	mu    sync.Mutex
	rows  map[string]thing // by id
	loads atomic.Int64
	hits  atomic.Int64
}

func (s *shelf) cache(limit int) *cache.Rows[thing] {
	return cache.New(cache.Options[thing]{
		ID: func(t thing) string { return t.id }, Name: func(t thing) string { return t.name }, TTL: time.Minute, Bear: 10 * time.Minute, AbsentTTL: 5 * time.Second,
		NotFound: errNone, Max: limit, Asked: func(hit bool) {
			if hit {
				s.hits.Add(1)
			}
		},
	})
}

func (s *shelf) put(t thing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[string]thing{}
	}
	s.rows[t.id] = t
}

func (s *shelf) by(is func(thing) bool) cache.Load[thing] {
	return func(context.Context) (thing, error) {
		s.loads.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, one := range s.rows {
			if is(one) {
				return one, nil
			}
		}
		return thing{}, fmt.Errorf("load: %w", errNone)
	}
}

func (s *shelf) id(t testing.TB, c *cache.Rows[thing], id string) string {
	t.Helper()
	got, err := c.ByID(t.Context(), id, s.by(func(one thing) bool { return one.id == id }))
	if err != nil {
		require.ErrorIs(t, err, errNone)
		return "none"
	}
	return got.value
}

func (s *shelf) name(t testing.TB, c *cache.Rows[thing], name string) string {
	t.Helper()
	got, err := c.ByName(t.Context(), name, s.by(func(one thing) bool { return one.name == name }))
	if err != nil {
		require.ErrorIs(t, err, errNone)
		return "none"
	}
	return got.value
}

func TestRowsAreLoadedOnceByBothNamesAndUntilTheyAreDropped(t *testing.T) {
	var s shelf
	c := s.cache(10)
	s.put(thing{"1", "one", "a"})
	assert.Equal(t, "a", s.id(t, c, "1"))
	assert.Equal(t, "a", s.name(t, c, "one"))
	assert.EqualValues(t, 1, s.loads.Load())
	assert.EqualValues(t, 1, s.hits.Load())

	s.put(thing{"1", "uno", "b"})
	assert.Equal(t, "a", s.name(t, c, "one"), "nobody has told")
	c.Drop("1")
	assert.Equal(t, "none", s.name(t, c, "one"), "the name is nobody's any more")
	assert.Equal(t, "b", s.name(t, c, "uno"))
	assert.Equal(t, "b", s.id(t, c, "1"))
	c.DropAll()
	assert.Zero(t, c.Len())
	s.put(thing{"1", "uno", "c"})
	assert.Equal(t, "c", s.name(t, c, "uno"))
}

func TestWhatIsAbsentIsRememberedUntilSomethingIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		c := s.cache(10)
		for range 3 {
			assert.Equal(t, "none", s.name(t, c, "one"))
		}
		assert.EqualValues(t, 1, s.loads.Load())
		time.Sleep(6 * time.Second)
		assert.Equal(t, "none", s.name(t, c, "one"))
		assert.EqualValues(t, 2, s.loads.Load(), "for five seconds")
		s.put(thing{"1", "one", "a"})
		c.Drop("1")
		assert.Equal(t, "a", s.name(t, c, "one"))
	})
}

func TestRowsLiveForTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		c := s.cache(100)
		for i := range 50 {
			s.put(thing{id: fmt.Sprint(i), value: "a"})
			s.id(t, c, fmt.Sprint(i))
		}
		time.Sleep(53 * time.Second)
		loads := s.loads.Load()
		assert.EqualValues(t, 50, loads)
		time.Sleep(7 * time.Second)
		for i := range 50 {
			s.id(t, c, fmt.Sprint(i))
		}
		again := s.loads.Load() - loads
		assert.Positive(t, again, "some are over before the minute")
		assert.Less(t, again, int64(50), "and some live on")
		time.Sleep(7 * time.Second)
		for i := range 50 {
			s.id(t, c, fmt.Sprint(i))
		}
		assert.EqualValues(t, 100, s.loads.Load(), "none lives longer than a tenth more")
	})
}

// TestWhatCannotBeLoadedIsWhatItWas, for a time; but not what is gone, was dropped, or was given up by who asks.
func TestWhatCannotBeLoadedIsWhatItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		c := s.cache(10)
		away := errors.New("the database is away")
		s.put(thing{"1", "one", "a"})
		var failing error
		load := func(ctx context.Context) (thing, error) {
			if failing != nil {
				return thing{}, failing
			}
			return s.by(func(t thing) bool { return t.id == "1" })(ctx)
		}
		asks := map[string]func() (thing, error){
			"by id":         func() (thing, error) { return c.ByID(t.Context(), "1", load) },
			"by name":       func() (thing, error) { return c.ByName(t.Context(), "one", load) },
			"fresh by id":   func() (thing, error) { return c.FreshByID(t.Context(), "1", load) },
			"fresh by name": func() (thing, error) { return c.FreshByName(t.Context(), "one", load) },
			"among many": func() (thing, error) {
				found, err := c.Borne([]string{"1"}, failing)
				if err != nil {
					return thing{}, err
				}
				return found[0], nil
			},
		}
		each := func(want thing, wantErr error) {
			t.Helper()
			for name, ask := range asks {
				got, err := ask()
				require.ErrorIs(t, err, wantErr, name)
				require.Equal(t, want, got, name)
			}
		}
		known := func() {
			t.Helper()
			failing = nil
			_, err := c.FreshByID(t.Context(), "1", load)
			require.NoError(t, err)
			failing = away
		}
		failing = away
		each(thing{}, away) // never loaded
		known()
		time.Sleep(5 * time.Minute) // beyond its time
		each(thing{"1", "one", "a"}, nil)
		time.Sleep(7 * time.Minute)
		each(thing{}, away)

		known()
		c.Drop("1")
		each(thing{}, away)

		known()
		time.Sleep(2 * time.Minute)
		failing = context.Canceled
		each(thing{}, context.Canceled)
		failing = errNone // deleted where nobody told
		_, err := c.FreshByID(t.Context(), "1", load)
		require.ErrorIs(t, err, errNone)
		time.Sleep(10 * time.Second)
		failing = away
		each(thing{}, away)

		failing = nil
		s.put(thing{"1", "one", "b"})
		got, err := c.FreshByName(t.Context(), "one", load)
		require.NoError(t, err)
		require.Equal(t, "b", got.value, "it is loaded where it can be")
	})
}

func TestTheOneNotAskedForMakesRoom(t *testing.T) {
	var s shelf
	c := s.cache(2)
	for _, id := range []string{"1", "2", "3"} {
		s.put(thing{id, "n" + id, id})
	}
	for _, id := range []string{"1", "2", "1", "3", "1"} {
		s.id(t, c, id)
	}
	assert.Equal(t, 2, c.Len())
	assert.EqualValues(t, 3, s.loads.Load())
	s.name(t, c, "n2")
	assert.EqualValues(t, 4, s.loads.Load(), "the second had to go")
	for n := range 5000 {
		assert.Equal(t, "none", s.id(t, c, fmt.Sprint("no", n)))
	}
	assert.Equal(t, 2, c.Len(), "what is not there pushes nothing out")
}

// TestALoadBegunBeforeADropIsNotKept nor waited for by who asks after it: it may have read the row as it was.
func TestALoadBegunBeforeADropIsNotKept(t *testing.T) {
	var s shelf
	c := s.cache(10)
	s.put(thing{"1", "one", "old"})
	begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan string)
	go func() {
		got, _ := c.ByID(t.Context(), "1", func(context.Context) (thing, error) {
			close(begun)
			<-goOn
			return thing{"1", "one", "old"}, nil
		})
		done <- got.value
	}()
	<-begun
	s.put(thing{"1", "one", "new"})
	c.Drop("1")
	assert.Equal(t, "new", s.id(t, c, "1"), "it does not join the load that began before")
	c.Drop("2")
	close(goOn)
	assert.Equal(t, "old", <-done, "who asked before the change may get what was before it")
	assert.Equal(t, "new", s.id(t, c, "1"), "and nobody after")

	_, missing, from := c.Many([]string{"1", "7"})
	assert.Equal(t, []string{"7"}, missing)
	c.Drop("7")
	c.Keep(from, thing{"7", "seven", "old"})
	found, missing, _ := c.ManyByName([]string{"one", "seven"})
	assert.Len(t, found, 1)
	assert.Equal(t, []string{"seven"}, missing)
}

func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		c := s.cache(10)
		goOn := make(chan struct{})
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range 20 {
			ctx := t.Context()
			if i == 0 {
				ctx = leaving
			}
			all.Go(func() {
				got, err := c.ByID(ctx, "1", func(ctx context.Context) (thing, error) {
					s.loads.Add(1)
					<-goOn
					return thing{"1", "one", "a"}, ctx.Err()
				})
				assert.NoError(t, err)
				assert.Equal(t, "a", got.value)
			})
		}
		synctest.Wait()
		leave() // whoever was first
		close(goOn)
		all.Wait()
		assert.EqualValues(t, 1, s.loads.Load())
	})
}

// TestWhoWaitedWithAnotherHasTheirOwnTime.
func TestWhoWaitedWithAnotherHasTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		c := s.cache(10)
		slow := func(ctx context.Context) (thing, error) {
			if s.loads.Add(1) == 1 {
				<-ctx.Done()
				return thing{}, ctx.Err()
			}
			return thing{"1", "one", "a"}, nil
		}
		var all sync.WaitGroup
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := c.ByID(ctx, "1", slow)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		got, err := c.ByID(t.Context(), "1", slow)
		assert.NoError(t, err)
		assert.Equal(t, "a", got.value)
		all.Wait()
		assert.EqualValues(t, 2, s.loads.Load())
	})
}

// TestNobodyIsAnsweredFromBeforeTheirChange: each changes a row of theirs, tells, and looks.
func TestNobodyIsAnsweredFromBeforeTheirChange(t *testing.T) {
	var s shelf
	c := s.cache(10)
	var all sync.WaitGroup
	for one := range 4 {
		all.Go(func() {
			id := fmt.Sprint(one)
			for n := range 500 {
				want := fmt.Sprint(n)
				s.put(thing{id, "n" + id, want})
				c.Drop(id)
				if !assert.Equal(t, want, s.id(t, c, id)) || !assert.Equal(t, want, s.name(t, c, "n"+id)) {
					return
				}
				s.id(t, c, fmt.Sprint((one+1)%4))
			}
		})
	}
	all.Wait()
}
