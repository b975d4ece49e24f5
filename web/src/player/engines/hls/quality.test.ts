import { describe, expect, it } from 'vitest'
import { levelName, levelOf, qualitiesOf, soundOf } from './quality'

const look = (height: number, frameRate: number, bitrate: number) => ({ height, frameRate, bitrate })
const ladder = [look(360, 30, 8e5), look(720, 30, 2.5e6), look(720, 60, 4e6), look(1080, 60, 6e6)]

describe('level names', () => {
  it.each([
    [look(1080, 60, 6e6), '1080p60'],
    [look(1080, 50, 6e6), '1080p50'],
    [look(720, 30, 3e6), '720p'],
    [look(720, 29.97, 3e6), '720p'],
    [look(0, 0, 128e3), '128 kbit/s'],
  ])('%j is %s', (level, name) => expect(levelName(level)).toBe(name))
})

describe('the level that is meant', () => {
  it.each([
    [{ height: 720, fps: 60 }, 2],
    [{ height: 720, fps: 30 }, 1],
    [{ height: 720, fps: 0 }, 1],
    [{ height: 480, fps: 30 }, -1],
    ['auto' as const, -1],
    ['sound' as const, -1],
  ])('%j is at %i', (wish, index) => expect(levelOf(ladder, wish)).toBe(index))

  it('is the better of two that look alike', () => {
    expect(levelOf([look(720, 30, 1e6), look(720, 29.97, 3e6)], { height: 720, fps: 30 })).toBe(1)
  })
})

describe('sound alone', () => {
  const variant = {
    url: '/v',
    bitrate: 2e6,
    width: 1280,
    height: 720,
    videoCodec: 'avc1',
    audioCodec: 'mp4a',
  }
  const sound = { url: '/a', bitrate: 128e3, width: 0, height: 0, videoCodec: undefined, audioCodec: 'mp4a' }

  it('is the variant without a picture', () => {
    expect(soundOf([variant, sound])).toEqual({ url: '/a', bitrate: 128e3 })
  })
  it('is no choice where there is nothing else, or nothing is told', () => {
    expect(soundOf([sound])).toBeNull()
    expect(soundOf([variant])).toBeNull()
    expect(soundOf([variant, { ...sound, audioCodec: undefined }])).toBeNull()
  })
})

describe('the menu', () => {
  it('begins with the best and ends with sound alone', () => {
    const list = qualitiesOf(ladder, { url: '/a', bitrate: 128e3 }, 1, 'auto')
    expect(list.map((q) => q.name)).toEqual(['1080p60', '720p60', '720p', '360p', ''])
    expect(list.find((q) => q.active)?.name).toBe('720p')
    expect(list.some((q) => q.chosen)).toBe(false)
  })
  it('marks what was chosen although another level is still shown', () => {
    const list = qualitiesOf(ladder, null, 3, { height: 360, fps: 30 })
    expect(list.find((q) => q.chosen)?.name).toBe('360p')
    expect(list.find((q) => q.active)?.name).toBe('1080p60')
  })
  it('is back at automatic when the chosen level has gone', () => {
    expect(qualitiesOf(ladder, null, 3, { height: 480, fps: 30 }).some((q) => q.chosen)).toBe(false)
  })
  it('shows no picture as active while sound alone plays', () => {
    const list = qualitiesOf(ladder, { url: '/a', bitrate: 128e3 }, 0, 'sound')
    expect(list.filter((q) => q.active).map((q) => q.key)).toEqual(['sound'])
  })
})
