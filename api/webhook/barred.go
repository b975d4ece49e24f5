package webhook

import (
	"context"
	"time"

	"mediad/store/db"
	"mediad/store/job"
)

// suspensionWait is how long a delivery waits for the end of its owner's suspension: as long as for a server that does not answer.
const suspensionWait = 24 * time.Hour

// Why a delivery was not sent. None of them is a failure of what it is for, and each can be retried once it is otherwise.
const (
	notActive = "disabled"  // the webhook is
	suspended = "suspended" // its owner is
	notMay    = "no_right"  // its owner may not have it any more
)

// barred says why a delivery must not be sent now; "": it may.
func (s *Service) barred(q db.Queries, w db.Webhook, d db.Delivery) (string, error) {
	if d.Type != Test && (!w.Active || w.DisabledAt != nil) {
		return notActive, nil
	}
	may, err := s.may(q, w)
	if err != nil || may {
		return "", err
	}
	u, err := q.FindUser(w.OwnerID)
	if err != nil {
		return "", err
	}
	if u.SuspendedAt(db.At(s.o.Now())) && !u.Closed() {
		return suspended, nil
	}
	return notMay, nil
}

// notSent notes why, as d.Error says. What waits for the end of a suspension is sent then.
func (s *Service) notSent(ctx context.Context, q db.Queries, j *job.Job, w db.Webhook, d db.Delivery) error {
	d.State, d.NextAt = db.DeliveryFailed, nil
	if d.Error != suspended {
		return s.finish(ctx, j, d, false)
	}
	u, err := q.FindUser(w.OwnerID)
	if err != nil {
		return err
	}
	now := s.o.Now()
	if u.SuspendedUntil == nil || u.SuspendedUntil.Time().Sub(now) > suspensionWait {
		return s.finish(ctx, j, d, false)
	}
	d.State, d.NextAt = db.DeliveryWaiting, u.SuspendedUntil
	if err := s.finish(ctx, j, d, false); err != nil {
		return err
	}
	return job.Later(max(u.SuspendedUntil.Time().Sub(now), again))
}
