import { expect, it } from 'vitest'
import { untilOf } from './until'

const now = Date.parse('2026-03-01T12:00:00.000Z')

it('counts days from now', () => {
  expect(untilOf('week', '', now)).toBe('2026-03-08T12:00:00.000Z')
  expect(untilOf('good', '2026-03-08', now)).toBeNull()
})

it('takes a chosen day to its end', () => {
  const until = new Date(String(untilOf('date', '2026-03-08', now)))
  expect([until.getFullYear(), until.getMonth(), until.getDate(), until.getHours()]).toEqual([2026, 2, 8, 23])
})
