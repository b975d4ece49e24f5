const days = { day: 1, week: 7, month: 30 }

/** For how long somebody is kept out: for some days, for good, or until a day that is chosen. */
export const spans = ['day', 'week', 'month', 'good', 'date'] as const
export type Span = (typeof spans)[number]

/** The moment until which it is; null: for good. A chosen day is kept out to its end, as the clock of who chooses has it. */
export function untilOf(span: Span, date: string, now: number): string | null {
  if (span === 'good') return null
  if (span === 'date') return new Date(`${date}T23:59:59`).toISOString()
  return new Date(now + days[span] * 86_400_000).toISOString()
}
