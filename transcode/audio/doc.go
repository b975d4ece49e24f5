// Package audio makes sound of one codec into that of another, by FFmpeg, for whoever cannot take what a publisher sends.
//
//	live.Subscriber ──► Source ─────── pictures, and AAC that came as such ───────► packager
//	                       └─ Opus ─► Encoder ─► AAC in session time ─┘
//	egress/whep ─ AAC ─► Encoder ─► Opus in session time ─► viewers by WebRTC, while somebody hears
//	ingest/rtsp ─ linear sound of G.711 ─► Sound (an Encoder) ─► AAC ─► firewall
//
//	Encoder: units ─► NUT ─► FFmpeg ─► NUT ─► units
//
// A Source is a subscription in which Opus has become AAC. Where there is no Opus it is the subscription itself, at no cost.
// An Encoder lasts as long as its track; its child is started again where it dies, or takes sound and gives none for two
// seconds. What is lost of the sound meanwhile the packager fills.
//
// Time: a unit is placed by counting samples from the child's first, and counted anew where the time that NUT carries along
// says that the child has left something out. What was to be heard at some moment is heard then, within 5 ms. A hole in the
// sound starts a new child.
//
// Delay, from when a unit's first sample was made until the unit is there, the length of a frame (21 ms of AAC, 20 ms of Opus)
// included, on two cores of 2026, p50 / p95; BenchmarkDelay measures it:
//
//	AAC to Opus   34 / 43 ms   first packet  90 ms after the first frame
//	Opus to AAC   75 / 84 ms   first frame  117 ms after the first packet
//
// Goroutines: an Encoder has one that feeds the child and one that reads it, a Source one more that reads the subscription while
// there is Opus, a Sound one that gives away. Close waits for all.
package audio
