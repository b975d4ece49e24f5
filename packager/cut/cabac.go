package cut

// skipQP is the quantiser of skipped pictures. It has no effect on them but that it makes "skipped" the likely symbol of
// its context.
const skipQP = 40

// The context of mb_skip_flag in P slices where the neighbours are skipped too (ctxIdx 11, cabac_init_idc 0: m 23, n 33,
// H.264 table 9-13), initialised for skipQP (9.3.1.1). Its most probable symbol is 1.
const skipState = (23*skipQP>>4 + 33) - 64

// lastState is where a context stays that has seen nothing but its most probable symbol.
const lastState = 62

// rangeLPS is table 9-44: the range of the least probable symbol by state and quantised range.
var rangeLPS = [64][4]uint32{
	{128, 176, 208, 240}, {128, 167, 197, 227}, {128, 158, 187, 216}, {123, 150, 178, 205},
	{116, 142, 169, 195}, {111, 135, 160, 185}, {105, 128, 152, 175}, {100, 122, 144, 166},
	{95, 116, 137, 158}, {90, 110, 130, 150}, {85, 104, 123, 142}, {81, 99, 117, 135},
	{77, 94, 111, 128}, {73, 89, 105, 122}, {69, 85, 100, 116}, {66, 80, 95, 110},
	{62, 76, 90, 104}, {59, 72, 86, 99}, {56, 69, 81, 94}, {53, 65, 77, 89},
	{51, 62, 73, 85}, {48, 59, 69, 80}, {46, 56, 66, 76}, {43, 53, 63, 72},
	{41, 50, 59, 69}, {39, 48, 56, 65}, {37, 45, 54, 62}, {35, 43, 51, 59},
	{33, 41, 48, 56}, {32, 39, 46, 53}, {30, 37, 43, 50}, {29, 35, 41, 48},
	{27, 33, 39, 45}, {26, 31, 37, 43}, {24, 30, 35, 41}, {23, 28, 33, 39},
	{22, 27, 32, 37}, {21, 26, 30, 35}, {20, 24, 29, 33}, {19, 23, 27, 31},
	{18, 22, 26, 30}, {17, 21, 25, 28}, {16, 20, 23, 27}, {15, 19, 22, 25},
	{14, 18, 21, 24}, {14, 17, 20, 23}, {13, 16, 19, 22}, {12, 15, 18, 21},
	{12, 14, 17, 20}, {11, 14, 16, 19}, {11, 13, 15, 18}, {10, 12, 15, 17},
	{10, 12, 14, 16}, {9, 11, 13, 15}, {9, 11, 12, 14}, {8, 10, 12, 14},
	{8, 9, 11, 13}, {7, 9, 11, 12}, {7, 9, 10, 12}, {7, 8, 10, 11},
	{6, 8, 9, 11}, {6, 7, 9, 10}, {6, 7, 8, 9}, {2, 2, 2, 2},
}

// appendSkipped appends the slice data of n skipped macroblocks: for each mb_skip_flag 1 and end_of_slice_flag, 0 until
// the last (7.3.4), by the arithmetic encoder of 9.3.4.
func appendSkipped(b []byte, n uint32) []byte {
	e := arithmetic{w: bitWriter{buf: b, n: 8 * len(b)}, span: 510, first: true}
	state := skipState
	for i := range n {
		e.span -= rangeLPS[state][e.span>>6&3]
		e.renormalise()
		state = min(state+1, lastState)

		e.span -= 2
		if i == n-1 {
			e.finish()
			break
		}
		e.renormalise()
	}
	return e.w.buf
}

// arithmetic is the encoder's state: codILow, codIRange, firstBitFlag, bitsOutstanding.
type arithmetic struct {
	w         bitWriter
	low, span uint32
	first     bool
	pending   int
}

func (e *arithmetic) renormalise() {
	for e.span < 256 {
		switch {
		case e.low < 256:
			e.bit(0)
		case e.low >= 512:
			e.low -= 512
			e.bit(1)
		default:
			e.low -= 256
			e.pending++
		}
		e.span <<= 1
		e.low <<= 1
	}
}

func (e *arithmetic) bit(v uint32) {
	if e.first {
		e.first = false
	} else {
		e.w.put(v, 1)
	}
	for ; e.pending > 0; e.pending-- {
		e.w.put(1-v, 1)
	}
}

// finish ends the slice (9.3.4.5); the last bit written is rbsp_stop_one_bit.
func (e *arithmetic) finish() {
	e.low += e.span
	e.span = 2
	e.renormalise()
	e.bit(e.low >> 9 & 1)
	e.w.put(e.low>>7&3|1, 2)
	e.w.align(0)
}
