/** Types of events by what they are about, as the server has them (store/event): those of one's own channel and account. */
export const ownEvents = {
  streams: [
    'stream.online',
    'stream.reconnecting',
    'stream.resumed',
    'stream.offline',
    'stream.health',
    'publish.refused',
  ],
  videos: [
    'video.ready',
    'video.published',
    'video.updated',
    'video.deleted',
    'replay.ready',
    'clip.created',
    'view.counted',
    'view.completed',
  ],
  people: ['follow.created', 'follow.deleted'],
  account: [
    'user.updated',
    'user.suspended',
    'role.changed',
    'webhook.disabled',
    'security.login_failed',
    'security.refresh_reused',
    'security.token_created',
    'security.key_rotated',
  ],
} as const

/** What webhooks for the whole site may have besides. */
export const siteEvents = [
  'user.registered',
  'user.erased',
  'block.created',
  'job.failed',
  'alert.fired',
  'alert.resolved',
] as const
