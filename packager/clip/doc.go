// Package clip cuts a stretch out of a recording, to the frame.
//
//	Recording, from, to ──NewPlan──► head cut │ whole segments │ tail cut
//	                                    │             │             │
//	                           decoded from its       │      decoded from its
//	                           key frame, made        │      key frame, made
//	                           anew from `from` on    │      anew up to `to`
//	                                    └──────► Made ◄─────────────┘
//
// Whole segments stay where they are and are referred to. A cut end is encoded anew, only that and no more: an epoch of its own, with a
// discontinuity between it and the whole segments; its times go on as they were. Sound is cut at its frames and never encoded.
package clip
