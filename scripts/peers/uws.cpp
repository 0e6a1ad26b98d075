// uWebSockets as a peer of scripts/bench-peers.sh: `/` sends every message back, `/topic/NAME` relays it to the others there.
// One loop, no compression, no TLS, no timeouts; everything else as its own examples have it. `uws --bind ADDRESS:PORT`

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "App.h"

namespace {

struct Member {
    std::string topic;
};

constexpr unsigned kMessageBytesMax = 64u << 20;

}  // namespace

int main(int count, char **arguments) {
    std::string bind = count > 2 && std::string_view(arguments[1]) == "--bind" ? arguments[2] : "127.0.0.1:3001";
    auto colon = bind.rfind(':');
    if (colon == std::string::npos) {
        std::fprintf(stderr, "uws: --bind ADDRESS:PORT is wanted\n");
        return 2;
    }
    using Socket = uWS::WebSocket<false, true, Member>;
    uWS::App app;
    uWS::App::WebSocketBehavior<Member> echo{};
    echo.compression = uWS::DISABLED;
    echo.maxPayloadLength = kMessageBytesMax;
    echo.maxBackpressure = kMessageBytesMax;
    echo.idleTimeout = 0;
    echo.sendPingsAutomatically = false;
    echo.message = [](Socket *socket, std::string_view message, uWS::OpCode opcode) { socket->send(message, opcode, false); };

    uWS::App::WebSocketBehavior<Member> relay{};
    relay.compression = uWS::DISABLED;
    relay.maxPayloadLength = kMessageBytesMax;
    relay.maxBackpressure = kMessageBytesMax;
    relay.idleTimeout = 0;
    relay.sendPingsAutomatically = false;
    relay.upgrade = [](auto *response, auto *request, auto *context) {
        response->template upgrade<Member>(
            {std::string(request->getParameter(0))}, request->getHeader("sec-websocket-key"),
            request->getHeader("sec-websocket-protocol"), request->getHeader("sec-websocket-extensions"), context);
    };
    relay.open = [](Socket *socket) { socket->subscribe(socket->getUserData()->topic); };
    relay.message = [](Socket *socket, std::string_view message, uWS::OpCode opcode) {
        socket->publish(socket->getUserData()->topic, message, opcode, false);
    };

    app.ws<Member>("/topic/:name", std::move(relay))
        .ws<Member>("/*", std::move(echo))
        .listen(bind.substr(0, colon), std::atoi(bind.c_str() + colon + 1), [&](auto *listening) {
            if (listening == nullptr) {
                std::fprintf(stderr, "uws: %s cannot be listened on\n", bind.c_str());
                std::exit(3);
            }
        })
        .run();
}
