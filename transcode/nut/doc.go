// Package nut reads and writes NUT, the container that joins us and FFmpeg over pipes.
//
//	AppendHeader, AppendFrame ──► pipe ──► ffmpeg -f nut -i pipe:0 … -f nut pipe:3 ──► Reader ──► Frame
//
// Of all containers that FFmpeg reads and writes, this one gives each frame out as soon as its bytes are there, keeps any
// time base exactly, and grows no index: MPEG-TS holds frames back and MP4 remembers every fragment for ever.
//
// What is written is NUT 4 with the pipe flag: no syncpoint is needed, so nothing has to be counted. One stream a file, frame
// headers spelt out and with their checksum. What is read is NUT 2 to 4 as FFmpeg writes it. Everything is a pure function of
// its arguments, or of the bytes it reads.
//
//	file    "nut/multimedia container" 0, then packets and frames
//	packet  startcode(64 bit) forward_ptr [header checksum] payload checksum     main, stream, info, index, syncpoint
//	frame   frame_code [fields that the code's entry in the main header's table leaves open] data
//
// Numbers are of variable length: seven bits a byte, the most significant first, the top bit set in all but the last. The
// specification's names are used (nut.txt of the NUT project, "bitstream description").
package nut
