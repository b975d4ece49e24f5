// Package audio makes AAC of Opus, so that HLS has sound whatever a publisher sends.
//
//	live.Subscriber ──► Source ──────── pictures, and AAC that came as such ────────► packager
//	                       └─ Opus ─► ogg ─► FFmpeg ─► ADTS ─► AAC in session time ─┘
//
// A Source is a subscription in which Opus has become AAC. Where there is no Opus it is the subscription itself, at no cost.
// The child belongs to an epoch; one that dies is started again, and what is lost of the sound meanwhile the packager fills.
//
// Time: an AAC frame is placed by counting samples from the child's first Opus packet, less what the encoder puts in
// front, so that what was to be heard at some moment is heard then. A hole in the sound starts a new child, counted anew.
//
// Goroutines: while there is Opus one reads the subscription, one feeds the child and one reads it. Close waits for all.
package audio
