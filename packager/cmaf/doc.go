// Package cmaf writes CMAF: init segments, and fragments of one moof and one mdat.
//
//	media.Track ──Init──────────────► ftyp moov                       once an epoch and rendition
//	[]Sample ──AppendFragment──► moof(mfhd traf(tfhd tfdt trun)) mdat  once a part
//
// A file has one track, and its id is 1. A part is one fragment; a segment is the bytes of its parts one behind
// the other, so that neither is ever written twice. There are no edit lists: the caller shifts decode times by the
// reorder delay, composition offsets are signed (trun version 1), and so tfdt is the presentation time of the first
// presented sample.
//
// Everything here is a pure function of its arguments. Sections named in comments are those of ISO/IEC 14496-12
// (file format), 14496-15 (NAL units), 14496-14 (MPEG-4 audio) and 23000-19 (CMAF).
package cmaf
