import { expect, it } from 'vitest'
import { deviceOf } from './device'

it('names browsers and programs', () => {
  const windows = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)'
  expect(deviceOf(`${windows} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36`)).toBe(
    'Chrome, Windows',
  )
  expect(deviceOf(`${windows} AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0`)).toBe('Edge, Windows')
  expect(deviceOf('Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1')).toBe(
    'Safari, iOS',
  )
  expect(deviceOf('curl/8.5.0')).toBe('curl')
  expect(deviceOf('')).toBe('')
})
