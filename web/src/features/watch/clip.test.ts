import { expect, it } from 'vitest'
import { clipOf, lengths, offered, tooEarly } from './clip'

it('is what was seen before the moment', () => {
  const moment = { at: 91.25, start: 0 }
  expect(clipOf(' What a move ', 30, moment)).toEqual({
    title: 'What a move',
    end_ms: 91_250,
    duration_ms: 30_000,
  })
  expect(clipOf('', 60, moment)).toEqual({ end_ms: 91_250, duration_ms: 60_000 })
})

it('ends now where it is not known what is seen', () => {
  expect(clipOf('', 15, null)).toEqual({ duration_ms: 15_000 })
  expect(lengths.every((seconds) => offered(seconds, null))).toBe(true)
  expect(tooEarly(null)).toBe(false)
})

it('is no longer than what can be seen', () => {
  // Two hours on air, of which 40 seconds can be sought back to.
  const moment = { at: 7_240, start: 7_200 }
  expect(lengths.filter((seconds) => offered(seconds, moment))).toEqual([15, 30])
  const young = { at: 9.5, start: 0 }
  expect(lengths.filter((seconds) => offered(seconds, young))).toEqual([15])
  expect(clipOf('', 15, young)).toEqual({ end_ms: 9_500, duration_ms: 9_500 })
  expect(tooEarly(young)).toBe(false)
  expect(tooEarly({ at: 4.9, start: 0 })).toBe(true)
  expect(tooEarly({ at: 90, start: 100 })).toBe(true)
})
