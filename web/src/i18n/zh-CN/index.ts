import common from './common.json'
import home from './home.json'
import notfound from './notfound.json'
import player from './player.json'
import video from './video.json'
import watch from './watch.json'

export default { common, home, watch, video, player, notfound }
