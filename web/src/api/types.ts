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
export type Problem = Schemas['Problem']
export type FieldProblem = Schemas['ProblemField']
export type User = Schemas['AccountUser']
export type Own = Schemas['AccountOwn']
export type OwnPatch = Schemas['AccountPatch']
export type UserLink = Schemas['AccountLink']
export type SignedIn = Schemas['AuthSession']
export type Role = 'viewer' | 'streamer' | 'moderator' | 'admin'
export type Living = Schemas['AuthLiving']
export type ApiToken = Schemas['AuthToken']
export type NewApiToken = Schemas['AuthNewToken']
export type SecondFactor = Schemas['AuthTOTP']
export type Followed = Schemas['RelationFollowed']
export type StreamKey = Schemas['StreamKey']
export type StreamNew = Schemas['StreamNew']
export type StreamPatch = Schemas['StreamPatch']
export type Health = Schemas['Health']
export type HealthAlert = Schemas['HealthAlert']
export type Disconnect = Schemas['StreamDisconnect']
export type AdminUser = Schemas['AdminUser']
export type AdminMade = Schemas['AdminMade']
export type AdminNewUser = Schemas['AdminNewUser']
export type AdminChange = Schemas['AdminChange']
export type AdminEntry = Schemas['AdminEntry']
export type AdminStream = Schemas['StreamAll']
export type AdminInvite = Schemas['AdminInvite']

/** A page of a list; the cursor is null behind the last. */
export interface Page<T> {
  items: T[]
  next_cursor: string | null
}
export type Export = Schemas['Export']
