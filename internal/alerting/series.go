package alerting

import (
	"context"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

type point struct {
	t int64
	v float64
}

// ring keeps the newest points. It grows to its size and no further.
type ring struct {
	points []point
	first  int // of the oldest, once it is full
}

func (r *ring) len() int { return len(r.points) }

func (r *ring) at(i int) point { return r.points[(r.first+i)%len(r.points)] }

// push adds a point, and returns the one that goes for it.
func (r *ring) push(p point, size int) (gone point, full bool) {
	if len(r.points) < size {
		r.points = append(r.points, p)
		return gone, false
	}
	gone = r.points[r.first]
	r.points[r.first] = p
	r.first = (r.first + 1) % size
	return gone, true
}

// series is one time series.
type series struct {
	labels    labels.Labels
	kind      *kind
	old, fine ring // old ones are before all fine ones
}

func (s *series) push(t int64, v float64) {
	gone, full := s.fine.push(point{t, v}, s.kind.fine)
	if !full || s.kind.coarse == 0 {
		return
	}
	if n := s.old.len(); n == 0 || gone.t-s.old.at(n-1).t >= coarse.Milliseconds() {
		s.old.push(gone, s.kind.coarse)
	}
}

func (s *series) len() int { return s.old.len() + s.fine.len() }

func (s *series) at(i int) point {
	if n := s.old.len(); i >= n {
		return s.fine.at(i - n)
	}
	return s.old.at(i)
}

// newest is when the last sample was, or the mark that there are none any more.
func (s *series) newest() int64 {
	if n := s.fine.len(); n > 0 {
		return s.fine.at(n - 1).t
	}
	return 0
}

// Labels implements storage.Series.
func (s *series) Labels() labels.Labels { return s.labels }

// Iterator implements storage.Series.
func (s *series) Iterator(again chunkenc.Iterator) chunkenc.Iterator {
	if i, ok := again.(*iterator); ok {
		*i = iterator{s: s, i: -1}
		return i
	}
	return &iterator{s: s, i: -1}
}

// iterator implements chunkenc.Iterator.
type iterator struct {
	s *series
	i int
}

func (i *iterator) kind() chunkenc.ValueType {
	if i.i >= i.s.len() {
		return chunkenc.ValNone
	}
	return chunkenc.ValFloat
}

func (i *iterator) Next() chunkenc.ValueType {
	i.i = min(i.i+1, i.s.len())
	return i.kind()
}

// Seek implements chunkenc.Iterator.
func (i *iterator) Seek(t int64) chunkenc.ValueType { //nolint:govet // it is Prometheus' Seek, and not that of io
	low, high := max(i.i, 0), i.s.len()
	for low < high {
		if mid := (low + high) / 2; i.s.at(mid).t < t {
			low = mid + 1
		} else {
			high = mid
		}
	}
	i.i = low
	return i.kind()
}

func (i *iterator) At() (int64, float64) {
	p := i.s.at(i.i)
	return p.t, p.v
}

func (i *iterator) AtT() int64 { return i.s.at(i.i).t }
func (*iterator) AtST() int64  { return 0 }
func (*iterator) Err() error   { return nil }
func (*iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return 0, nil // there are none
}

func (*iterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return 0, nil
}

// Querier implements storage.Queryable.
func (s *Store) Querier(int64, int64) (storage.Querier, error) { return querier{s}, nil }

// querier implements storage.Querier.
type querier struct{ s *Store }

// Select implements storage.Querier. Every selector of a rule names its metric.
func (q querier) Select(_ context.Context, sorted bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []*series
	for _, one := range q.s.byName[nameOf(matchers)] {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.labels.Get(m.Name)) }) {
			found = append(found, one)
		}
	}
	if sorted {
		slices.SortFunc(found, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	}
	return &set{found: found, i: -1}
}

// LabelValues implements storage.Querier; queries do not call it.
func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier; queries do not call it.
func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return []string{model.MetricNameLabel}, nil, nil
}

// Close implements storage.Querier.
func (querier) Close() error { return nil }

// set implements storage.SeriesSet.
type set struct {
	found []*series
	i     int
}

func (s *set) Next() bool                      { s.i++; return s.i < len(s.found) }
func (s *set) At() storage.Series              { return s.found[s.i] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }
