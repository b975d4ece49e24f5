package cut

// SilentAAC is one AAC-LC frame of silence for the decoder configuration asc, nil if it cannot be told which elements
// its frames have (channel configuration 0 or above 7). ISO 14496-3, 4.4.2: each element has no spectral band at
// all (max_sfb 0), so every decoder makes zeros of it.
func SilentAAC(asc []byte) []byte {
	elements, ok := channelElements(asc)
	if !ok {
		return nil
	}
	var w bitWriter
	var tags [4]uint32
	for _, e := range elements {
		w.put(e, 3)
		w.put(tags[e], 4)
		tags[e]++
		if e == elementPair {
			w.put(1, 1) // common_window
			w.icsInfo()
			w.put(0, 2) // ms_mask_present
			w.channelStream(false)
			w.channelStream(false)
			continue
		}
		w.channelStream(true)
	}
	w.put(elementEnd, 3)
	return w.buf
}

// The ids of syntactic elements.
const (
	elementSingle = 0
	elementPair   = 1
	elementLFE    = 3
	elementEnd    = 7
)

// channelElements lists the elements of a frame by channel configuration (14496-3, table 1.19).
func channelElements(asc []byte) ([]uint32, bool) {
	layouts := [][]uint32{
		1: {elementSingle},
		2: {elementPair},
		3: {elementSingle, elementPair},
		4: {elementSingle, elementPair, elementSingle},
		5: {elementSingle, elementPair, elementPair},
		6: {elementSingle, elementPair, elementPair, elementLFE},
		7: {elementSingle, elementPair, elementPair, elementPair, elementLFE},
	}
	r := bitReader{buf: asc}
	if r.get(5) == 31 { // audioObjectType
		r.get(6)
	}
	if r.get(4) == 15 { // samplingFrequencyIndex
		r.get(24)
	}
	c := r.get(4)
	if r.over || c == 0 || int(c) >= len(layouts) {
		return nil, false
	}
	return layouts[c], true
}

// icsInfo is that of one long window without bands.
func (w *bitWriter) icsInfo() {
	w.put(0, 1) // reserved
	w.put(0, 2) // ONLY_LONG_SEQUENCE
	w.put(0, 1) // window_shape
	w.put(0, 6) // max_sfb
	w.put(0, 1) // predictor_data_present
}

// channelStream is an individual_channel_stream without bands.
func (w *bitWriter) channelStream(own bool) {
	w.put(100, 8) // global_gain: that of no band
	if own {
		w.icsInfo()
	}
	w.put(0, 3) // no pulses, no TNS, no gain control
}
