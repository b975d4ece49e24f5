import { expect, it } from 'vitest'
import { isSuspended } from './suspended'

const now = Date.parse('2026-03-01T12:00:00.000Z')

it('ends when its time is over', () => {
  const until = (at: string | null) => isSuspended({ state: 'suspended', suspended_until: at }, now)
  expect(until('2026-03-01T12:00:01.000Z')).toBe(true)
  expect(until('2026-03-01T12:00:00.000Z')).toBe(false)
  expect(until(null)).toBe(true)
  expect(isSuspended({ state: 'active', suspended_until: null }, now)).toBe(false)
})
