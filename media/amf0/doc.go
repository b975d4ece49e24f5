// Package amf0 reads and writes AMF 0, the form of commands and metadata in RTMP and FLV.
//
// It is pure and starts no goroutine. What it reads comes from outside, so depth and number of values are bounded.
package amf0
