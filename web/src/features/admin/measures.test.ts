import { expect, it } from 'vitest'
import { bytes, moment, percent, span } from './measures'

it('writes bytes by their largest unit', () => {
  expect([0, 1023, 1024, 1536, 210_000_000, 50 * 2 ** 30, 2 ** 60].map((n) => bytes(n, 'en'))).toEqual([
    '0 B',
    '1,023 B',
    '1 KiB',
    '1.5 KiB',
    '200 MiB',
    '50 GiB',
    '1,024 PiB',
  ])
})

it('writes lengths of time by their two largest units', () => {
  expect([0, 59.9, 60, 3_700, 86_400, 90_061, 86_460].map((s) => span(s, 'en'))).toEqual([
    '0 sec',
    '59 sec',
    '1 min',
    '1 hr 1 min',
    '1 day',
    '1 day 1 hr',
    '1 day',
  ])
  expect(span(90_061, 'zh-CN')).toBe('1天 1小时')
})

it('writes shares and moments', () => {
  expect(percent(0.974, 'en')).toBe('97.4%')
  expect(moment('never', 'en')).toBe('')
  expect(moment('2026-03-01T12:00:00.000Z', 'en')).toContain('2026')
})
