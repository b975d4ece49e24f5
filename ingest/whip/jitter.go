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

	// A packet that is missing is asked for once it is later than others that were overtaken have come of late, by a quarter, and at most
	// maxOvertaken; then each askEvery, maxAsks times. Who is asked for what is on its way sends it twice, and has less left for what is lost.
	maxOvertaken = 80 * time.Millisecond
	askEvery     = 50 * time.Millisecond
	maxAsks      = 10
	// maxAbsent bounds the packets that are asked for: with more missing only a key frame helps.
	maxAbsent = 512

	// maxGone is how many of the packets that were given up last are known, to tell those that came too late from those that came twice.
	maxGone = 64
)

// jitter puts the packets of one track in order. While none is lost it holds none back.
type jitter struct {
	wait   time.Duration // how long a lost packet is awaited: between least and most, longer where packets came too late
	least  time.Duration
	most   time.Duration
	calm   int
	held   []arrived     // in order, all at or after next
	absent []absent      // what is missing between them, in order
	gone   []uint16      // what was given up last
	slow   time.Duration // how late packets come that were overtaken
	trip   time.Duration // how long those take to come that are asked for, averaged
	apart  bool          // what is sent again is told apart
	next   uint16
	begun  bool
	behind int
	count  jitterCount
	cut    bool // the sequence began anew: what follows does not belong to what came before
}

// jitterCount counts packets since the beginning.
type jitterCount struct {
	packets uint64 // that were given away, or up
	lost    uint64 // that came when they were asked for, or were given up
	missing uint64 // that were given up
}

type absent struct {
	seq     uint16
	since   time.Duration
	asks    int
	askedAt time.Duration // last
	asked   time.Duration // first
}

type arrived struct {
	pkt *rtp.Packet
	at  time.Duration
}

// push takes a packet that arrived at a time, since any moment. again says that it is known to have been sent once more.
func (j *jitter) push(pkt *rtp.Packet, at time.Duration, again bool) {
	seq := pkt.SequenceNumber
	j.apart = j.apart || again
	if !j.begun {
		j.begun, j.next = true, seq
	}
	ahead := int(int16(seq - j.next))
	switch {
	case ahead < 0:
		if j.behind++; j.behind < maxBehind {
			if slices.Contains(j.gone, seq) {
				j.late()
			}
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
	if i == len(j.held) {
		j.miss(seq, at)
	} else {
		j.found(seq, at, again)
	}
	j.held = slices.Insert(j.held, i, arrived{pkt, at})
}

// miss notes what is between seq, which is the newest of all, and the one before.
func (j *jitter) miss(seq uint16, at time.Duration) {
	newest := j.next - 1
	if n := len(j.held); n > 0 {
		newest = j.held[n-1].pkt.SequenceNumber
	}
	for n := newest + 1; n != seq && len(j.absent) < maxAbsent; n++ {
		j.absent = append(j.absent, absent{seq: n, since: at})
	}
}

// found notes that a packet came that had been overtaken, or was asked for.
func (j *jitter) found(seq uint16, at time.Duration, again bool) {
	i := slices.IndexFunc(j.absent, func(a absent) bool { return a.seq == seq })
	if i < 0 {
		return
	}
	switch a := &j.absent[i]; {
	case a.asks == 0 || j.apart && !again:
		j.slow = max(j.slow, min(at-a.since, maxOvertaken))
	default:
		j.count.lost++
		if trip := at - a.asked; j.trip == 0 {
			j.trip = trip
		} else {
			j.trip += (trip - j.trip) / 8
		}
	}
	j.absent = slices.Delete(j.absent, i, i+1)
}

// ask returns what is to be asked for now.
func (j *jitter) ask(now time.Duration) (seqs []uint16) {
	for i := range j.absent {
		a := &j.absent[i]
		if now-a.since < min(j.slow+j.slow/4, maxOvertaken) || a.asks > 0 && now-a.askedAt < askEvery || a.asks == maxAsks {
			continue
		}
		if a.asks == 0 {
			a.asked = now
		}
		a.asks, a.askedAt = a.asks+1, now
		seqs = append(seqs, a.seq)
	}
	return seqs
}

// forget gives up what is missing before next.
func (j *jitter) forget() {
	n := 0
	for n < len(j.absent) && int16(j.absent[n].seq-j.next) < 0 {
		j.count.lost++
		j.gone = append(j.gone, j.absent[n].seq)
		n++
	}
	j.absent = slices.Delete(j.absent, 0, n)
	if over := len(j.gone) - maxGone; over > 0 {
		j.gone = slices.Delete(j.gone, 0, over)
	}
}

func newJitter(least, most time.Duration) jitter {
	return jitter{wait: least, least: least, most: most}
}

// patience is how long a lost packet is awaited: so long that it can come where it is lost once more when it is sent again. Browsers send one again
// no sooner than after a round trip.
func (j *jitter) patience() time.Duration {
	return max(j.wait, min(j.slow+4*j.trip, j.most))
}

// late makes lost packets be awaited longer.
func (j *jitter) late() { j.wait, j.calm = min(2*j.wait, j.most), 0 }

func (j *jitter) restart(seq uint16) {
	clear(j.held)
	j.held, j.absent = j.held[:0], j.absent[:0]
	j.next, j.cut = seq, true
}

// pop returns the next packet, and how many before it are given up; false while there is none, or one is still awaited.
func (j *jitter) pop(now time.Duration) (a arrived, lost int, ok bool) {
	if len(j.held) == 0 {
		return arrived{}, 0, false
	}
	a = j.held[0]
	lost = int(a.pkt.SequenceNumber - j.next)
	if lost > 0 && now-a.at < j.patience() && len(j.held) < maxHeld {
		return arrived{}, 0, false
	}
	j.count.packets += uint64(lost) + 1
	j.count.missing += uint64(lost)
	j.held = slices.Delete(j.held, 0, 1)
	j.next = a.pkt.SequenceNumber + 1
	j.forget()
	if j.calm++; j.calm == calmAfter {
		j.wait, j.calm = max(j.wait/2, j.least), 0
		j.slow /= 2
	}
	if j.cut {
		j.cut = false
		lost++
	}
	return a, lost, true
}
