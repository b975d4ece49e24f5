vcl 4.1;

# mediad behind Varnish 7: what viewers watch is cached, everything else is passed on. docs/delivery.md explains it.
#
#   apt-get install varnish
#   cp deploy/varnish/mediad.vcl /etc/varnish/        then look at "To be set"
#   cp deploy/varnish/varnish.conf /etc/systemd/system/varnish.service.d/mediad.conf && systemctl daemon-reload && systemctl restart varnish
#
# Varnish speaks no TLS: hitch.conf beside this file puts hitch in front of it.

import std;

# ---- To be set -------------------------------------------------------------------------------------------------------------

backend mediad {
    .host = "127.0.0.1"; # http.addr of mediad. On another machine: name this one in mediad's http.trusted_proxies
    .port = "8080";
    .connect_timeout = 2s;
    .first_byte_timeout = 15s; # over the 8 s that mediad holds a request
    .between_bytes_timeout = 10s;
}

# Who may purge. With hitch in front viewers have their own addresses, as it tells them by the PROXY protocol; behind anything on
# this machine that does not, name nobody.
acl purgers {
    "127.0.0.1";
    "::1";
}

# ---- From here on nothing needs to be changed --------------------------------------------------------------------------------

sub vcl_recv {
    # The port is nobody's business but ours.
    unset req.http.M-Kind;
    unset req.http.M-Query;

    if (req.method == "PURGE") {
        call purge;
    }
    if (req.http.Upgrade ~ "(?i)websocket") {
        return (pipe);
    }
    # Playlists and pictures, then media. Their names have one spelling.
    if (req.url ~ "^(/t/[A-Za-z0-9._~-]{1,1024})?/((live|vod)/[A-Za-z0-9._-]{1,64}/([A-Za-z0-9._-]{1,64}/)?(index\.m3u8|dvr\.m3u8|thumb\.jpg)|vod/[A-Za-z0-9._-]{1,64}/(storyboard\.vtt|storyboard_\d{1,4}\.jpg))(\?|$)") {
        set req.http.M-Kind = "playlist";
    } elsif (req.url ~ "^(/t/[A-Za-z0-9._~-]{1,1024})?/(live|vod)/[A-Za-z0-9._-]{1,64}/[A-Za-z0-9._-]{1,64}/(init_\d{1,19}\.mp4|seg_\d{1,19}_\d{1,19}\.m4s|part_\d{1,19}_\d{1,19}_\d{1,7}\.m4s)(\?|$)") {
        set req.http.M-Kind = "media";
    } elsif (req.url ~ "^(/t/[^/?]+)?/live/") {
        # No other name is mediad's: nobody can make it look for invented ones.
        set req.http.M-Kind = "unknown";
    } else {
        # Publishing and playing by WebRTC, chat, uploads, pages: passed on as they come, nothing kept.
        return (pass);
    }
    if (req.method == "OPTIONS") {
        # Browsers ask before they send CMCD headers to another site, once for each address: that must not reach mediad.
        return (synth(204));
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(405));
    }
    if (req.http.M-Kind == "unknown") {
        return (synth(404));
    }

    # CMCD goes into the log, by header or in the query, and no further.
    if (req.url ~ "[?&]CMCD=") {
        std.log("CMCD: " + regsub(req.url, "^.*[?&]CMCD=([^&]*).*$", "\1"));
    }
    if (req.http.CMCD-Request || req.http.CMCD-Object || req.http.CMCD-Status || req.http.CMCD-Session) {
        std.log("CMCD: " + req.http.CMCD-Request + "," + req.http.CMCD-Object + "," + req.http.CMCD-Status + "," + req.http.CMCD-Session);
        unset req.http.CMCD-Request;
        unset req.http.CMCD-Object;
        unset req.http.CMCD-Status;
        unset req.http.CMCD-Session;
    }

    call canonical;

    # The request is made anew: no header of one viewer changes what the others get.
    unset req.http.Cookie;
    unset req.http.Authorization;
    unset req.http.Accept;
    unset req.http.Accept-Language;
    unset req.http.Origin;
    unset req.http.Referer;
    unset req.http.X-Request-Id;
    unset req.http.Cache-Control;
    unset req.http.Pragma;
    set req.http.Host = "mediad";
    return (hash);
}

# canonical gives the query its one spelling: what mediad reads of it, in alphabetical order. Everything else never changes an
# answer. All that mediad refuses becomes one query that it refuses.
sub canonical {
    if (req.http.M-Kind == "playlist" && req.url ~ "[?&]_HLS_") {
        # First only the directives stay, each behind an ampersand.
        set req.http.M-Query = "&" + regsub(req.url, "^[^?]*\?", "");
        set req.http.M-Query = regsuball(req.http.M-Query, "&(?!_HLS_(?:msn|part|skip)(?:[=&]|$))[^&]*", "");
        if (req.http.M-Query ~ "&(_HLS_\w+)(?:=[^&]*)?(?:&[^&]*)*?&\1(?:[=&]|$)"
            || req.http.M-Query ~ "&_HLS_msn(?!=(?:0|[1-9]\d{0,17})(?:&|$))"
            || req.http.M-Query ~ "&_HLS_part(?!=(?:0|[1-9]\d{0,6})(?:&|$))"
            || (req.http.M-Query ~ "&_HLS_part=" && req.http.M-Query !~ "&_HLS_msn=")) {
            set req.http.M-Query = "?_HLS_msn=x";
        } else {
            # msn, then part, then skip where it is one that mediad knows.
            set req.http.M-Query = regsub(req.http.M-Query, "^(.*)(&_HLS_msn=\d+)(.*)$", "\2\1\3");
            set req.http.M-Query = regsub(req.http.M-Query, "&_HLS_skip(?!=(?:YES|v2)(?:&|$))[^&]*", "");
            set req.http.M-Query = regsub(req.http.M-Query, "^(.*)(&_HLS_skip=\w+)(.*)$", "\1\3\2");
            set req.http.M-Query = regsub(req.http.M-Query, "^&", "?");
        }
    }
    set req.url = regsub(req.url, "\?.*$", "") + req.http.M-Query;
    unset req.http.M-Query;
}

# purge forgets a path with all its directives, all below /live/{stream}/ or /vod/{video}/, or everything (/).
sub purge {
    if (!client.ip ~ purgers) {
        return (synth(403));
    }
    set req.url = regsub(regsub(req.url, "\?.*$", ""), "^/t/[^/]+", "");
    if (req.url !~ "^[A-Za-z0-9._/-]+$" || (req.url ~ "/$" && req.url !~ "^/(\w+/[^/]+/)?$")) {
        return (synth(400, "Name a file, /live/{stream}/, /vod/{video}/ or /."));
    }
    if (req.url ~ "/$") {
        std.ban("obj.http.M-Path ~ ^" + regsuball(req.url, "\.", "\\."));
    } else {
        std.ban("obj.http.M-Path == " + req.url);
    }
    return (synth(200, "purged"));
}

sub vcl_hash {
    hash_data(req.url); # whatever name the site was called by
    return (lookup);
}

sub vcl_pipe {
    set bereq.http.Upgrade = req.http.Upgrade;
    set bereq.http.Connection = req.http.Connection;
    return (pipe);
}

sub vcl_backend_fetch {
    unset bereq.http.M-Kind;
    return (fetch);
}

sub vcl_backend_response {
    # How long is in Cache-Control, for refusals as well; the path decides whether anything is kept at all.
    if (bereq.uncacheable) {
        return (deliver);
    }
    set beresp.http.M-Path = regsub(regsub(bereq.url, "\?.*$", ""), "^/t/[^/]+", "");
    set beresp.grace = 0s; # an old playlist is worse than none
    set beresp.keep = 0s;
    set beresp.uncacheable = false;
    if (beresp.http.Cache-Control ~ "(?i)no-store|no-cache|private" || beresp.http.Cache-Control !~ "(?i)max-age=\d+") {
        # Not a hit-for-miss: for as long as one lived, everybody would ask mediad for himself. mediad holds no request that it answers
        # so, hence those who waited for it are through one after the other in no time.
        set beresp.ttl = 0s;
        return (deliver);
    }
    set beresp.ttl = std.duration(regsub(beresp.http.Cache-Control, "(?i)^.*max-age=(\d+).*$", "\1") + "s", 0s) - beresp.age;
    if (beresp.http.Cache-Control ~ "immutable") {
        set beresp.grace = 1h; # media is as true as ever when mediad is away
    }
    return (deliver);
}

sub vcl_backend_error {
    # mediad is away. Those who waited are told so at once, not each after a try of his own.
    set beresp.http.Content-Type = "application/problem+json";
    set beresp.http.Access-Control-Allow-Origin = "*";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Retry-After = "1";
    set beresp.body = """{"type":"urn:mediad:problem:unavailable","title":"Unavailable","status":503,"code":"unavailable","detail":"The server cannot be reached at the moment."}""";
    if (!bereq.uncacheable) {
        set beresp.ttl = 1s;
        set beresp.grace = 0s;
        set beresp.keep = 0s;
    }
    return (deliver);
}

sub vcl_deliver {
    unset resp.http.M-Path;
    if (req.http.M-Kind) {
        unset resp.http.X-Request-Id; # of the one viewer who came first
        if (obj.hits > 0) {
            set resp.http.X-Cache = "HIT";
        } else {
            set resp.http.X-Cache = "MISS";
        }
    }
    return (deliver);
}

sub vcl_synth {
    set resp.http.Access-Control-Allow-Origin = "*";
    if (resp.status == 204) {
        set resp.http.Access-Control-Allow-Methods = "GET, HEAD, OPTIONS";
        set resp.http.Access-Control-Allow-Headers = "*";
        set resp.http.Access-Control-Max-Age = "86400";
        return (deliver);
    }
    if (resp.status == 200) {
        set resp.http.Content-Type = "text/plain";
        set resp.body = resp.reason;
        return (deliver);
    }
    set resp.http.Content-Type = "application/problem+json";
    if (resp.status == 404) {
        set resp.http.Cache-Control = "public, max-age=1";
        set resp.body = """{"type":"urn:mediad:problem:not_found","title":"Not found","status":404,"code":"not_found","detail":"There is nothing at this address."}""";
    } elsif (resp.status == 405) {
        set resp.http.Allow = "GET, HEAD, OPTIONS";
        set resp.body = """{"type":"urn:mediad:problem:method_not_allowed","title":"Method not allowed","status":405,"code":"method_not_allowed","detail":"Media can only be read."}""";
    } elsif (resp.status == 403) {
        set resp.body = """{"type":"urn:mediad:problem:forbidden","title":"Forbidden","status":403,"code":"forbidden","detail":"You may not purge."}""";
    } else {
        set resp.body = """{"type":"urn:mediad:problem:invalid_parameter","title":"Not purged","status":400,"code":"invalid_parameter","detail":"Name a file, /live/{stream}/, /vod/{video}/ or /."}""";
    }
    return (deliver);
}
