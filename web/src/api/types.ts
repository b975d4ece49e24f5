import type { components } from './schema'

type Schemas = components['schemas']

/** Made from the server's own description: `npm run gen:api`. */
export type Stream = Schemas['Stream']
export type StreamList = Schemas['StreamList']
export type SiteConfig = Schemas['SiteConfig']
export type StreamPlayback = Schemas['StreamPlayback']
