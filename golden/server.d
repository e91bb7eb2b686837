usr/share/virtc/server/plan.json: \
  server.xml \
  host.kdl

server.xml:

host.kdl:
