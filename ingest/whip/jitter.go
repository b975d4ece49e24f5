package whip

import (
	"slices"
	"time"

	"github.com/pion/rtp"
)

const (
	// maxHeld bounds the packets that wait for a lost one: half a second of 20 Mbit/s.
	maxHeld = 1024

	// maxAhead is how far ahead a packet may be before it is another sequence, and maxBehind how many packets in a row may be
	// old before the sender is taken to have begun anew.
	maxAhead  = 3 * maxHeld
	maxBehind = 64

	// calmAfter is how many packets in a row must not come late before a lost one is awaited for a shorter time again.
	calmAfter = 500
)

// jitter puts the packets of one track in order. While none is lost it holds none back.
type jitter struct {
	wait   time.Duration // how long a lost packet is awaited: between least and most, longer where packets came too late
	least  time.Duration
	most   time.Duration
	calm   int
	held   []arrived // in order, all at or after next
	next   uint16
	begun  bool
	behind int
	count  jitterCount
	cut    bool // the sequence began anew: what follows does not belong to what came before
}

// jitterCount counts packets since the beginning.
type jitterCount struct {
	packets uint64 // that were given away, or up
	lost    uint64 // that were not there when the next one came
	missing uint64 // that were given up
}

type arrived struct {
	pkt *rtp.Packet
	at  time.Duration
}

// push takes a packet that arrived at a time, since any moment.
func (j *jitter) push(pkt *rtp.Packet, at time.Duration) {
	seq := pkt.SequenceNumber
	if !j.begun {
		j.begun, j.next = true, seq
	}
	ahead := int(int16(seq - j.next))
	switch {
	case ahead < 0:
		if j.behind++; j.behind < maxBehind {
			j.late()
			return // too late, or repeated
		}
		j.restart(seq)
	case ahead > maxAhead:
		j.restart(seq)
	}
	j.behind = 0
	i := len(j.held)
	for i > 0 {
		d := int16(seq - j.held[i-1].pkt.SequenceNumber)
		if d == 0 {
			return
		}
		if d > 0 {
			break
		}
		i--
	}
	if i == len(j.held) { // the newest of all: what is between it and the one before is late, or lost
		newest := j.next - 1
		if i > 0 {
			newest = j.held[i-1].pkt.SequenceNumber
		}
		j.count.lost += uint64(seq - newest - 1)
	}
	j.held = slices.Insert(j.held, i, arrived{pkt, at})
}

func newJitter(least, most time.Duration) jitter {
	return jitter{wait: least, least: least, most: most}
}

// late makes lost packets be awaited longer.
func (j *jitter) late() { j.wait, j.calm = min(2*j.wait, j.most), 0 }

func (j *jitter) restart(seq uint16) {
	clear(j.held)
	j.held = j.held[:0]
	j.next, j.cut = seq, true
}

// pop returns the next packet, and how many before it are given up; false while there is none, or one is still awaited.
func (j *jitter) pop(now time.Duration) (a arrived, lost int, ok bool) {
	if len(j.held) == 0 {
		return arrived{}, 0, false
	}
	a = j.held[0]
	lost = int(a.pkt.SequenceNumber - j.next)
	if lost > 0 && now-a.at < j.wait && len(j.held) < maxHeld {
		return arrived{}, 0, false
	}
	j.count.packets += uint64(lost) + 1
	j.count.missing += uint64(lost)
	j.held = slices.Delete(j.held, 0, 1)
	j.next = a.pkt.SequenceNumber + 1
	if j.calm++; j.calm == calmAfter {
		j.wait, j.calm = max(j.wait/2, j.least), 0
	}
	if j.cut {
		j.cut = false
		lost++
	}
	return a, lost, true
}
