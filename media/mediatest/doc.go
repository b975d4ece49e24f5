// Package mediatest makes synthetic tracks and access units for tests: real parameter sets, valid NAL unit framing, any
// cadence, and pictures that do not decode (Encoded makes ones that do).
//
//	v := mediatest.Video(mediatest.VideoPattern{FPS: media.Rational{Num: 24000, Den: 1001}, Frames: 240, GOP: 48, BFrames: 2})
//	a := mediatest.Audio(mediatest.AudioPattern{Frames: 430})
//	for _, au := range mediatest.Interleave(vt, at, v, a) { … }
package mediatest
