//! VC00xx: the text is not the XML that virtc reads.
super::codes! {
    /// Codes of the XML reader.
    xml {
        SYNTAX = "VC0001" "syntax" "The text is not well-formed XML: a tag is not closed, an attribute lacks its quotes, or a character stands where none may.\n\nIn text and in attribute values, a plain & is written &amp; and a plain < is written &lt;. There is no `--` inside a comment.\n\nbefore: <name>vm</nam>\nafter:  <name>vm</name>";
        DOCTYPE = "VC0002" "doctype" "Document type declarations are refused: they can define entities, and domain XML needs none.\n\nRemove the `<!DOCTYPE …>` line.\n\nbefore: <!DOCTYPE domain SYSTEM \"domain.dtd\"><domain type='kvm'>…\nafter:  <domain type='kvm'>…";
        ENTITY = "VC0003" "entity" "Only the five entities of XML (&lt; &gt; &amp; &quot; &apos;) and character references (&#65; &#x41;) are known.\n\nbefore: <title>caf&eacute;</title>\nafter:  <title>café</title>";
        ENCODING = "VC0004" "encoding" "The file is not UTF-8, or its first line says that it is not (`encoding='ISO-8859-1'`).\n\nConvert it, for example with `iconv -f latin1 -t utf-8`, and write encoding='UTF-8' or none.\n\nbefore: a file in ISO 8859-1: <title>café</title> as the byte E9\nafter:  the same in UTF-8";
        ROOTS = "VC0005" "root" "A domain file has exactly one root element, `<domain>`.\n\nbefore: <domain type='kvm'>…</domain><domain type='kvm'>…</domain>\nafter:  <domain type='kvm'>…</domain>, and a second file for the other";
        DEPTH = "VC0006" "too-deep" "Elements are nested more than 64 deep. No domain needs that.\n\nbefore: 65 elements inside each other\nafter:  fewer than 64";
        SIZE = "VC0007" "too-large" "The file has more than 16 MiB, more elements, attributes in a tag or devices than virtc takes, or makes a command line that is longer than Linux starts. No domain needs that.\n\nbefore: a disk image given as the domain\nafter:  the domain XML";
        EMPTY = "VC0008" "empty" "The file holds no element at all.\n\nbefore: an empty file\nafter:  <domain type='kvm'><name>vm</name>…</domain>";
        NAMESPACE = "VC0009" "namespace-prefix" "A prefix is used that no `xmlns:…` attribute declares.\n\nbefore: <domain type='kvm'> … <qemu:commandline>\nafter:  <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'> … <qemu:commandline>";
    }
}
