// Package firewall makes a publisher's timestamps trustworthy.
//
//	Push ── unwrap ── judge ──┬── normal ──────────── place: cadence (video), counter (audio) ── Result
//	                          ├── suspect: held until the next unit or the other track tells what it was
//	                          │     ├── a hole            → placed where it says
//	                          │     ├── one insane unit   → put between its neighbours, or dropped
//	                          │     ├── one track jumped  → placed on the other track's line
//	                          │     └── all tracks jumped → new epoch
//	                          └── outside all reason ── dropped
//
// It is pure: arrival time is an argument, there is no goroutine, lock or clock. What it vouches for, whatever comes
// in, until the next new epoch:
//
//   - DTS rises strictly within a track, and never comes before the DTS + Duration of the unit in front;
//   - PTS ≥ DTS, by no more than maxReorder;
//   - audio is counted: every unit lasts its own samples, and what is missing is a whole number of frames;
//   - video on a constant rate lies on that rate's grid, exactly DTS + Duration apart but for missing frames;
//   - time does not stand or jump by more than a second in all tracks at once;
//   - the tracks stay within MaxSkew of each other, as far as both speak.
//
// One bad unit costs at most that unit.
package firewall
