import { i18n } from '@/i18n'
import video from '@/i18n/en/video.json'

// As with the player: src/player/messages.ts.
i18n.global.mergeLocaleMessage('en', { video })
