package alerting

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
)

const (
	// fineFor is for how long every sample is kept, and coarse how far apart those before that are: less than lookback, so that none is missed.
	fineFor = time.Hour
	coarse  = 4 * time.Minute
	// maxSeries and maxPoints bound a store: 16 bytes a point, some 400 a series.
	maxSeries = 20_000
	maxPoints = 1_000_000
)

// Store keeps what rules look at of the newest samples.
type Store struct {
	wants map[string]want // by family
	pace  time.Duration

	entries map[string]*entry // by family and labels
	byName  map[string][]*series
	series  int
	points  int // that series may grow to
	cut     int // entries that are left out now
	round   uint64
	last    int64
	key     []byte
}

// want is what is kept of a family, by how its samples are named.
type want struct{ plain, bucket, count, sum *kind }

// kind is a metric that rules look at.
type kind struct {
	name         string
	back         int64 // ms
	fine, coarse int   // points of a series
}

// entry is a metric of a family with its labels, and the series it makes.
type entry struct {
	series []*series
	round  uint64 // the last in which it was there
	stale  bool
}

// newStore makes a store for what rules need.
func newStore(r *Rules) *Store {
	s := &Store{wants: map[string]want{}, pace: r.pace, entries: map[string]*entry{}, byName: map[string][]*series{}, last: math.MinInt64}
	for name, back := range r.needs {
		k := &kind{name: name, back: back.Milliseconds(), fine: int(min(back, fineFor)/s.pace) + 2}
		if back > fineFor {
			k.coarse = int((back-fineFor)/coarse) + 2
		}
		with := func(family string, set func(*want)) {
			w := s.wants[family]
			set(&w)
			s.wants[family] = w
		}
		with(name, func(w *want) { w.plain = k })
		for suffix, set := range map[string]func(*want){
			"_bucket": func(w *want) { w.bucket = k }, "_count": func(w *want) { w.count = k }, "_sum": func(w *want) { w.sum = k },
		} {
			if family, is := strings.CutSuffix(name, suffix); is {
				with(family, set)
			}
		}
	}
	return s
}

// take adds what was gathered at a moment, in milliseconds. What is there no more is marked as such, and forgotten once no rule looks back to it.
func (s *Store) take(now int64, families []*dto.MetricFamily) {
	if now <= s.last {
		return
	}
	s.last, s.cut = now, 0
	s.round++
	for _, f := range families {
		w, wanted := s.wants[f.GetName()]
		if !wanted {
			continue
		}
		for _, m := range f.GetMetric() {
			s.metric(now, f.GetName(), w, m)
		}
	}
	for key, e := range s.entries {
		switch {
		case e.round == s.round:
		case !e.stale:
			e.stale = true
			for _, one := range e.series {
				one.push(now, math.Float64frombits(value.StaleNaN))
			}
		case !slices.ContainsFunc(e.series, func(one *series) bool { return one.newest() >= now-one.kind.back }):
			s.forget(key, e)
		}
	}
}

// metric adds one metric of a family.
func (s *Store) metric(now int64, family string, w want, m *dto.Metric) {
	s.key = append(append(s.key[:0], family...), 0)
	for _, l := range m.GetLabel() {
		s.key = append(append(append(append(s.key, l.GetName()...), 0), l.GetValue()...), 0)
	}
	e := s.entries[string(s.key)]
	if e == nil {
		if e = s.enter(w, m); e == nil {
			s.cut++
			return
		}
		s.entries[string(s.key)] = e
	}
	e.round, e.stale = s.round, false
	i := 0
	each(w, m, func(_ *kind, _, _ string, v float64) {
		if i < len(e.series) {
			e.series[i].push(now, v)
		}
		i++
	})
}

// enter makes the series of a metric; nil: there is no room.
func (s *Store) enter(w want, m *dto.Metric) *entry {
	count, points := 0, 0
	each(w, m, func(k *kind, _, _ string, _ float64) {
		count++
		points += k.fine + k.coarse
	})
	if s.series+count > maxSeries || s.points+points > maxPoints {
		return nil
	}
	s.series, s.points = s.series+count, s.points+points
	e := &entry{series: make([]*series, 0, count)}
	b := labels.NewScratchBuilder(len(m.GetLabel()) + 2)
	each(w, m, func(k *kind, label, text string, _ float64) {
		b.Reset()
		b.Add(model.MetricNameLabel, k.name)
		for _, l := range m.GetLabel() {
			b.Add(l.GetName(), l.GetValue())
		}
		if label != "" {
			b.Add(label, text)
		}
		b.Sort()
		one := &series{labels: b.Labels(), kind: k}
		e.series = append(e.series, one)
		s.byName[k.name] = append(s.byName[k.name], one)
	})
	return e
}

// forget gives the room of an entry back.
func (s *Store) forget(key string, e *entry) {
	delete(s.entries, key)
	gone := map[*series]bool{}
	for _, one := range e.series {
		gone[one] = true
		s.series--
		s.points -= one.kind.fine + one.kind.coarse
	}
	for _, one := range e.series {
		name := one.kind.name
		s.byName[name] = slices.DeleteFunc(s.byName[name], func(other *series) bool { return gone[other] })
	}
}

// each calls fn with what is wanted of a metric, in an order that depends on its shape alone.
func each(w want, m *dto.Metric, fn func(k *kind, label, text string, v float64)) {
	switch {
	case m.Histogram != nil:
		h := m.Histogram
		if w.bucket != nil {
			top := false
			for _, b := range h.GetBucket() {
				top = top || math.IsInf(b.GetUpperBound(), 1)
				fn(w.bucket, model.BucketLabel, number(b.GetUpperBound()), float64(b.GetCumulativeCount()))
			}
			if !top {
				fn(w.bucket, model.BucketLabel, "+Inf", float64(h.GetSampleCount()))
			}
		}
		ends(w, float64(h.GetSampleCount()), h.GetSampleSum(), fn)
	case m.Summary != nil:
		if w.plain != nil {
			for _, q := range m.Summary.GetQuantile() {
				fn(w.plain, model.QuantileLabel, number(q.GetQuantile()), q.GetValue())
			}
		}
		ends(w, float64(m.Summary.GetSampleCount()), m.Summary.GetSampleSum(), fn)
	case w.plain == nil:
	case m.Counter != nil:
		fn(w.plain, "", "", m.Counter.GetValue())
	case m.Gauge != nil:
		fn(w.plain, "", "", m.Gauge.GetValue())
	case m.Untyped != nil:
		fn(w.plain, "", "", m.Untyped.GetValue())
	}
}

func ends(w want, count, sum float64, fn func(k *kind, label, text string, v float64)) {
	if w.count != nil {
		fn(w.count, "", "", count)
	}
	if w.sum != nil {
		fn(w.sum, "", "", sum)
	}
}

// number is a bound as Prometheus writes it.
func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if strings.ContainsAny(text, ".e") {
		return text
	}
	return text + ".0"
}
