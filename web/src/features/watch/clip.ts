import type { ClipNew } from '@/api/types'
import type { Moment } from '@/player/composables/timeline'

/** Seconds that a clip may be long, to choose from. */
export const lengths = [15, 30, 60] as const
/** The shortest that the server cuts, in seconds. */
const least = 5

/** Milliseconds that can be seen before a moment; where that is not known the server tells whether it is enough. */
const before = (moment: Moment | null) =>
  moment ? Math.max(0, Math.floor((moment.at - moment.start) * 1_000)) : Infinity

/** There is not enough before the moment for any clip. */
export const tooEarly = (moment: Moment | null) => before(moment) < least * 1_000

/** Whether a length is offered: the shortest one always, as it is cut to what there is. */
export const offered = (seconds: number, moment: Moment | null) =>
  seconds === lengths[0] || seconds * 1_000 <= before(moment)

/** What to ask the server for: the last seconds before the moment. */
export function clipOf(title: string, seconds: number, moment: Moment | null): ClipNew {
  return {
    ...(title.trim() && { title: title.trim() }),
    ...(moment && { end_ms: Math.round(moment.at * 1_000) }),
    duration_ms: Math.min(seconds * 1_000, before(moment)),
  }
}
