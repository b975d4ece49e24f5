package stream

// Health is how a broadcast arrives and what is made of it: api.md 4.9.
type Health struct {
	Protocol         string          `json:"protocol" example:"rtmp"`
	Encoder          string          `json:"encoder" doc:"What the publisher calls itself" example:"obs-output module (libobs version 29.0.2)"`
	Remote           string          `json:"remote" doc:"The publisher's network: the address is masked" example:"203.0.113.0/24"`
	ConnectedS       int64           `json:"connected_s" minimum:"0" example:"3600"`
	Video            *HealthVideo    `json:"video,omitempty" doc:"Absent: no picture"`
	Audio            *HealthAudio    `json:"audio,omitempty" doc:"Absent: no sound"`
	AVOffsetMS       int64           `json:"av_offset_ms" doc:"How far the picture arrives ahead of the sound" example:"12"`
	JitterMS         float64         `json:"jitter_ms" minimum:"0" doc:"How unevenly pictures arrive (as RFC 3550 counts)" example:"2.4"`
	RTTMS            *float64        `json:"rtt_ms,omitempty" doc:"Where the protocol measures it" example:"31"`
	LossPct          *float64        `json:"loss_pct,omitempty" doc:"Packets lost on the way in the last 10 s, where the protocol measures it" example:"0.2"`
	UnrepairedPct    *float64        `json:"unrepaired_pct,omitempty" doc:"What of the loss did not come in time after all" example:"0"`
	TimestampRepairs uint64          `json:"timestamp_repairs" doc:"Of the broadcast" example:"0"`
	DroppedFrames    uint64          `json:"dropped_frames" doc:"Units of the broadcast that nothing could be made of" example:"0"`
	Ladder           []HealthRung    `json:"ladder" nullable:"false" doc:"Empty: nothing is encoded"`
	Forwards         []HealthForward `json:"forwards" nullable:"false" doc:"Servers that the stream is forwarded to"`
	EndToEndMS       int64           `json:"end_to_end_ms" doc:"What lies between arrival and a player at the advertised distance from the edge" example:"700"`
	Alerts           []HealthAlert   `json:"alerts" nullable:"false"`
}

// HealthVideo is how the picture arrives.
type HealthVideo struct {
	Codec            string  `json:"codec" doc:"RFC 6381" example:"avc1.64001f"`
	Profile          string  `json:"profile" doc:"The codec's name of its profile; empty: unknown" example:"High"`
	Width            int     `json:"width" example:"1280"`
	Height           int     `json:"height" example:"720"`
	FPS              float64 `json:"fps" doc:"Measured over two seconds" example:"30"`
	FPSExpected      float64 `json:"fps_expected" doc:"What the bitstream promises; 0: nothing" example:"30"`
	Bitrate          Rate    `json:"bitrate_bps"`
	GOP              GOP     `json:"gop_s"`
	BFrames          int     `json:"b_frames" doc:"Most in a row" example:"0"`
	KeyFramesMissing bool    `json:"key_frames_missing" doc:"The newest key frame is older than a segment may be" example:"false"`
}

// HealthAudio is how the sound arrives.
type HealthAudio struct {
	Codec      string `json:"codec" doc:"RFC 6381" example:"mp4a.40.2"`
	SampleRate int    `json:"sample_rate" example:"48000"`
	Channels   int    `json:"channels" example:"2"`
	Bitrate    Rate   `json:"bitrate_bps"`
}

// Rate is a bit rate over the last second and the last ten.
type Rate struct {
	Last1S  int64 `json:"last_1s" example:"2510000"`
	Last10S int64 `json:"last_10s" example:"2498000"`
}

// GOP is the distance of key frames in seconds; zero before the second one.
type GOP struct {
	Last float64 `json:"last" example:"2"`
	Mean float64 `json:"mean" example:"2"`
	Max  float64 `json:"max" example:"2"`
}

// HealthRung is one rendition that is encoded.
type HealthRung struct {
	Name  string `json:"name" example:"480p"`
	State string `json:"state" doc:"on, shed" example:"on"`
	LagMS int64  `json:"lag_ms" doc:"How far it is behind its source" example:"80"`
}

// HealthForward is one server that the stream is forwarded to.
type HealthForward struct {
	ID            string `json:"id,omitempty" format:"uuid" doc:"Of one that the owner added; absent: the site's operator did" example:"0198f2a0-0000-7000-8000-000000000051"`
	Target        string `json:"target" doc:"Its URL without the key" example:"rtmp://a.example/live2/…"`
	State         string `json:"state" doc:"connecting, live, waiting, idle" example:"live"`
	Since         string `json:"since" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Attempts      uint64 `json:"attempts" doc:"Calls in this broadcast" example:"1"`
	Bytes         uint64 `json:"bytes" doc:"Sent in this broadcast" example:"1250000"`
	DroppedFrames uint64 `json:"dropped_frames" doc:"Units that the target was too slow for" example:"0"`
	RetryAt       string `json:"retry_at,omitempty" format:"date-time" doc:"When it is called again"`
	Error         string `json:"error,omitempty" doc:"Why it was last lost or refused"`
	Note          string `json:"note,omitempty" doc:"What the target does not get"`
}

// HealthAlert is something that the streamer should know.
type HealthAlert struct {
	Code     string `json:"code" example:"gop_too_long"`
	Severity string `json:"severity" doc:"info, warning, error" example:"warning"`
	Since    string `json:"since" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Advice   string `json:"advice" doc:"What to do, in plain words"`
}
