usr/share/virtc/demo2/plan.json: \
  demo2-kvm.xml \
  host.kdl

demo2-kvm.xml:

host.kdl:
