package cut

import "mediad/media"

// filler makes the samples that fill holes of a line of video.
type filler struct {
	tail      []byte // the newest unit in decode order
	again     []byte // what shows the last picture again, though not quite
	againSync bool
	againPTS  media.Ticks
	stiller   *stiller // makes what shows exactly the last picture; nil if it cannot be made

	filled media.Ticks // of the hole that is being filled
	fillAU Sample      // what fills it
}

// forget is for a new epoch: nothing of the old one can be shown again.
func (f *filler) forget() {
	f.filled, f.again, f.tail, f.fillAU = 0, nil, nil, Sample{}
}

// remember keeps what can show the last picture again: the latest shown, rather no IDR, since that would be larger.
func (f *filler) remember(u media.AccessUnit, key bool) {
	f.filled, f.tail = 0, u.Data
	if f.again == nil || key || u.PTS >= f.againPTS {
		f.again, f.againSync, f.againPTS = u.Data, key, u.PTS
	}
}

// filling is the sample that fills the hole behind the newest unit: a picture that is a copy of the last where one can be
// made, else the last unit again, which repeats its motion too.
func (f *filler) filling() Sample {
	if f.filled == 0 || f.fillAU.Data == nil {
		f.fillAU = Sample{Data: f.again, Sync: f.againSync, Fill: true}
		if f.stiller != nil {
			if au := f.stiller.picture(f.tail); au != nil {
				f.fillAU = Sample{Data: au, Disposable: true, Fill: true}
			}
		}
	}
	return f.fillAU
}
