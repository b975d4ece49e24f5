package viewer

import "time"

// Sample is what a page shows at one moment. Numbers that the page does not know are nil.
type Sample struct {
	Wall        int64    `json:"wall"` // unix milliseconds
	CurrentTime float64  `json:"currentTime"`
	Latency     *float64 `json:"latency"`   // seconds, in the player's opinion
	Delay       *float64 `json:"delay"`     // milliseconds from the stamp in the picture to its showing
	Made        *int64   `json:"made"`      // the newest stamp shown, unix milliseconds
	First       *float64 `json:"first"`     // milliseconds from the page's load to its first picture
	Requested   *float64 `json:"requested"` // milliseconds from the page's load to the request for the stream; of WHEP
	Energy      *float64 `json:"energy"`    // of the sound heard so far, as WebRTC's totalAudioEnergy; of WHEP
	Decoded     int      `json:"decoded"`
	Dropped     int      `json:"dropped"`
	AudioBytes  int      `json:"audioBytes"`
	Waits       int      `json:"waits"`
	Stalls      int      `json:"stalls"`
	Standing    int      `json:"standing"` // milliseconds that the present stall has lasted
	Buffer      float64  `json:"buffer"`   // seconds
	Rate        float64  `json:"rate"`
	Paused      bool     `json:"paused"`
	Ended       bool     `json:"ended"`
	Width       int      `json:"width"`
	Height      int      `json:"height"`
	Phase       string   `json:"phase"`  // of our own page's engine
	Slate       string   `json:"slate"`  // of our own page, as all until Path
	Way         string   `json:"way"`    // live, dvr, video
	Behind      string   `json:"behind"` // what the seek bar says
	Resume      string   `json:"resume"` // what is offered
	Replay      string   `json:"replay"` // address of the replay that is offered
	Path        string   `json:"path"`   // of the page
	Errors      []string `json:"errors"`
	Late        int      `json:"late"` // milliseconds that the page's timer was late at worst
	Network     Network  `json:"network"`
}

// Network is what a page asked for so far.
type Network struct {
	Requests  int            `json:"requests"`
	Reloads   int            `json:"reloads"`   // blocking ones
	MSN       int64          `json:"msn"`       // highest that was asked for
	Back      int            `json:"back"`      // times that a playlist was asked for a lower one than before
	Protocols map[string]int `json:"protocols"` // answers by ALPN identifier
	Refused   map[string]int `json:"refused"`   // answers from 400 on
	Failed    int            `json:"failed"`
}

// Event is something that happened in a page.
type Event struct {
	Type string `json:"type"` // first, stall, leap, problem, did
	Tab  int    `json:"tab"`
	At   int64  `json:"at"` // unix milliseconds

	// Of a stall:
	MS     float64 `json:"ms"`     // its length; of first: since the page's load
	Buffer float64 `json:"buffer"` // when it began
	Late   int     `json:"late"`   // milliseconds that the page's own timer was late meanwhile

	// Of a leap, the first picture of another time than the one before: their stamps, and when the one before was shown.
	Made     int64 `json:"made"`
	Before   int64 `json:"before"`
	BeforeAt int64 `json:"beforeAt"`

	Text string `json:"text"` // of a problem; of did: the line that was done
}

// Time is when the event happened.
func (e Event) Time() time.Time { return time.UnixMilli(e.At) }

// Spread is a distribution.
type Spread struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
}

// Tab is the summary of one page.
type Tab struct {
	Tab        int      `json:"tab"`
	First      *float64 `json:"first"`
	Requested  *float64 `json:"requested"` // as of Sample
	Delay      Spread   `json:"delay"`     // milliseconds, after the page settled
	Latency    Spread   `json:"latency"`   // seconds
	Decoded    int      `json:"decoded"`
	Dropped    int      `json:"dropped"`
	AudioBytes int      `json:"audioBytes"`
	Waits      int      `json:"waits"`
	Stalls     int      `json:"stalls"`
	StalledMS  float64  `json:"stalledMs"`
	Late       int      `json:"late"`
	Errors     []string `json:"errors"`
	Problems   []string `json:"problems"`
	Network    Network  `json:"network"`
	API        *struct {
		Calls  int     `json:"calls"`
		Failed int     `json:"failed"`
		Worst  float64 `json:"worst"` // milliseconds
	} `json:"api"`
}

// Summary is told at the end.
type Summary struct {
	Tabs  []Tab    `json:"tabs"`
	Wrong []string `json:"wrong"` // assertions of the script that failed
}
