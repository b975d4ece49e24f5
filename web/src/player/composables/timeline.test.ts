import { expect, it } from 'vitest'
import type { Stats } from '../engines/engine'
import { timelineOf } from './timeline'

const noon = Date.UTC(2026, 0, 1, 12)
const s = noon / 1_000
const window = { start: 100, end: 130 }
const dates = { start: noon, end: noon + 30_000, at: noon + 29_000 }
const stats = (change: Partial<Stats> = {}) => ({ window, dates, ...change }) as Stats
const dvr = (seconds: number, before: number) => ({ url: '/d', seconds, startedAt: noon - before * 1_000 })

it('is the window of the media where there is no more', () => {
  const positions = { start: 100, end: 130, at: 129, dated: false }
  expect(timelineOf('live', stats(), 129, null)).toEqual(positions)
  expect(timelineOf('live', stats({ dates: null }), 129, dvr(7200, 60))).toEqual(positions)
  expect(timelineOf('video', stats(), 129, null)).toEqual(positions)
  expect(timelineOf('live', stats({ window: null, dates: null }), 0, dvr(7200, 60))).toBeNull()
})

it('goes back to the start of the broadcast, or as far as is kept', () => {
  const at = { end: s + 30, at: s + 29, dated: true }
  expect(timelineOf('live', stats(), 129, dvr(7200, 60))).toEqual({ start: s - 60, ...at })
  expect(timelineOf('live', stats(), 129, dvr(50, 60))).toEqual({ start: s - 20, ...at })
})

it('is never shorter than the window', () => {
  expect(timelineOf('live', stats(), 129, dvr(10, 60))?.start).toBe(s)
  expect(timelineOf('live', stats(), 129, dvr(7200, -20))?.start).toBe(s)
})

it('is what the DVR has while that is played', () => {
  expect(timelineOf('dvr', stats(), 129, dvr(7200, 60))?.start).toBe(s)
})
