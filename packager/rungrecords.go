package packager

import (
	"encoding/json"

	"mediad/media"
	"mediad/packager/cut"
)

// What the journal says of a session's plan and its rungs.

// rungRecord says how a rung is decoded in an epoch.
type rungRecord struct {
	Line  cut.Line `json:"line"`
	Epoch int64    `json:"epoch"`
	trackRecord
}

func (p *past) takePlan(body []byte) error {
	var plan media.Plan
	if err := json.Unmarshal(body, &plan); err != nil {
		return err
	}
	if p.session.plan != nil || checkPlan(plan) != "" {
		return errOrder
	}
	p.session.plan = &plan
	return nil
}

func (p *past) takeRung(body []byte) error {
	var rec rungRecord
	if err := json.Unmarshal(body, &rec); err != nil {
		return err
	}
	s := p.session
	if !s.encodes(rec.Line) || len(s.epochs) == 0 {
		return errOrder
	}
	t, err := trackOf(rec.trackRecord)
	if err != nil {
		return err
	}
	r := s.renditions[rec.Line]
	if r == nil {
		r = s.newRendition(s.lineName(rec.Line), rec.Line)
		s.renditions[rec.Line] = r
	}
	r.track = t
	r.inits[rec.Epoch] = rec.Init
	for i := range s.epochs {
		if s.epochs[i].ID == rec.Epoch {
			s.epochs[i].rungs = append(s.epochs[i].rungs, rec)
		}
	}
	return nil
}
