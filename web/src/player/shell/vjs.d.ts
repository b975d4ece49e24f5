// The build without its own HLS engine has the types of the full one.
declare module 'video.js/core.es.js' {
  import videojs from 'video.js'
  export default videojs
}
