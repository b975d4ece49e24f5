// Player, streams and videos bring their own: see messages.ts in src/player, src/features/watch and src/features/video.
import common from './common.json'
import home from './home.json'
import notfound from './notfound.json'

export default { common, home, notfound }
