import type { components } from './schema'

type Schemas = components['schemas']

/** Made from the server's own description: `npm run gen:api`. */
export type Stream = Schemas['Stream']
export type StreamList = Schemas['StreamList']
export type SiteConfig = Schemas['SiteConfig']
export type StreamPlayback = Schemas['StreamPlayback']
export type Session = Schemas['StreamSession']
export type SessionList = Schemas['StreamSessionList']
export type Video = Schemas['Video'] & Pictures
export type VideoList = Omit<Schemas['VideoList'], 'items'> & { items: Video[] }
export type VideoPlayback = Schemas['VideoPlayback'] & Pictures & { download_url?: string }

/** Servers that make no pictures of videos do not tell of them. */
interface Pictures {
  thumbnail_url?: string | null
  storyboard_url?: string | null
}
