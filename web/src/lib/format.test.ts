import { describe, expect, it } from 'vitest'
import { ago, bitrate, clock, compact, day, hash, parseTime, span } from './format'

describe('clock', () => {
  it.each([
    [7, '0:07'],
    [725, '12:05'],
    [11_049, '3:04:09'],
    [-3, '0:00'],
    [Number.NaN, '0:00'],
  ])('%s is %s', (seconds, text) => expect(clock(seconds)).toBe(text))
})

describe('span', () => {
  it.each([
    [7_200, '2 hours'],
    [3_600, '1 hour'],
    [5_400, '90 minutes'],
    [61, '61 seconds'],
    [0, '0 seconds'],
  ])('%s is %s', (seconds, text) => expect(span(seconds, 'en')).toBe(text))
})

describe('ago', () => {
  const now = Date.parse('2026-03-01T12:00:00.000Z')
  it.each([
    ['2026-03-01T11:59:40.000Z', 'now'],
    ['2026-03-01T11:48:00.000Z', '12 min. ago'],
    ['2026-03-01T09:30:00.000Z', '2 hr. ago'],
    ['2026-02-27T12:00:00.000Z', '2 days ago'],
    ['2026-03-01T12:00:09.000Z', 'now'],
    ['soon', ''],
  ])('%s is %j', (date, text) => expect(ago(date, now, 'en')).toBe(text))
})

describe('bitrate', () => {
  it.each([
    [2_700_000, '2.7 Mbit/s'],
    [640_000, '640 kbit/s'],
    [0, '–'],
    [Number.NaN, '–'],
  ])('%s is %s', (bps, text) => expect(bitrate(bps)).toBe(text))
})

it('shortens counts as the locale does', () => {
  expect(compact(1_234, 'en')).toBe('1.2K')
  expect(compact(12_345, 'zh-CN')).toBe('1.2万')
})

it('gives a text the same hash each time', () => {
  expect(hash('demo')).toBe(hash('demo'))
  expect(hash('demo')).not.toBe(hash('demo2'))
})

it.each([
  ['90', 90],
  ['90s', 90],
  ['1m30s', 90],
  ['1h2m3s', 3723],
  ['2h', 7200],
  ['0', 0],
  ['', null],
  ['x', null],
  ['-5', null],
  ['1.5', null],
  [undefined, null],
  [['90'], null],
])('the time %j is %j', (text, seconds) => expect(parseTime(text)).toBe(seconds))

it('writes a day', () => {
  expect(day('2026-03-01T12:00:00.000Z', 'en')).toBe('March 1, 2026')
  expect(day('never', 'en')).toBe('')
})
