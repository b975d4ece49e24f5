import type { components } from './schema'

type Schemas = components['schemas']

/** Made from the server's own description: `npm run gen:api`. */
export type Stream = Schemas['Stream']
export type StreamList = Schemas['StreamList']
export type SiteConfig = Schemas['SiteConfig']
export type StreamPlayback = Schemas['StreamPlayback']
export type Session = Schemas['StreamSession']
export type SessionList = Schemas['StreamSessionList']
export type Video = Schemas['Video']
export type VideoList = Schemas['VideoList']
export type VideoPlayback = Schemas['VideoPlayback']
