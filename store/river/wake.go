package river

import (
	"context"
	"errors"
	"sync"

	"github.com/riverqueue/river/riverdriver"
)

// Topics on which River's parts talk to each other, and what they say.
const (
	topicInsert  = "river_insert"
	topicControl = "river_control"
)

type insertNews struct {
	Queue string `json:"queue"`
}

type controlNews struct {
	Action string `json:"action"`
	JobID  int64  `json:"job_id"`
	Queue  string `json:"queue"`
}

// news takes the place of LISTEN and NOTIFY where one process has the database for itself. What is lost because the queue is full
// is found by polling.
type news struct {
	queue chan *riverdriver.Notification // 256: a burst of inserts; River's own is 1000
}

func newNews() *news { return &news{queue: make(chan *riverdriver.Notification, 256)} }

func (n *news) tell(topic, payload string) {
	select {
	case n.queue <- &riverdriver.Notification{Topic: topic, Payload: payload}:
	default:
	}
}

// listener is River's view of news.
type listener struct {
	news *news

	mu     sync.Mutex // guards topics
	topics map[string]struct{}
}

var _ riverdriver.Listener = (*listener)(nil)

func (l *listener) Connect(context.Context) error { return nil }
func (l *listener) Close(context.Context) error   { return nil }
func (l *listener) Ping(context.Context) error    { return nil }
func (l *listener) Schema() string                { return "" }
func (l *listener) SetAfterConnectExec(string)    {}

func (l *listener) Listen(_ context.Context, topic string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topics == nil {
		l.topics = map[string]struct{}{}
	}
	l.topics[topic] = struct{}{}
	return nil
}

func (l *listener) Unlisten(_ context.Context, topic string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.topics, topic)
	return nil
}

func (l *listener) hears(topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.topics[topic]
	return ok
}

func (l *listener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	for {
		select {
		case n := <-l.news.queue:
			if l.hears(n.Topic) {
				return n, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// errNoTransaction is for a job.Tx that is none.
var errNoTransaction = errors.New("river: not in a transaction")
