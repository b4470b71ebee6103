"""Reads connectors/salesforce/package without an org: its XML, what it defines, what its manifests name. Used by the
test_salesforce_package*.py beside it."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from tests.architecture.source import ROOT

PACKAGE = ROOT / "connectors/salesforce/package"
SOURCE = PACKAGE / "force-app/main/default"
NS = "{http://soap.sforce.com/2006/04/metadata}"

# Metadata API Developer Guide: file suffix -> (folder, root element, name of the type in package.xml).
TYPES = {
    ".cls-meta.xml": ("classes", "ApexClass", "ApexClass"),
    ".customPermission-meta.xml": ("customPermissions", "CustomPermission", "CustomPermission"),
    ".externalCredential-meta.xml": ("externalCredentials", "ExternalCredential", "ExternalCredential"),
    ".field-meta.xml": ("fields", "CustomField", "CustomField"),
    ".flow-meta.xml": ("flows", "Flow", "Flow"),
    ".listView-meta.xml": ("listViews", "ListView", "ListView"),
    ".md-meta.xml": ("customMetadata", "CustomMetadata", "CustomMetadata"),
    ".namedCredential-meta.xml": ("namedCredentials", "NamedCredential", "NamedCredential"),
    ".object-meta.xml": ("objects", "CustomObject", "CustomObject"),
    ".permissionset-meta.xml": ("permissionsets", "PermissionSet", "PermissionSet"),
    ".queue-meta.xml": ("queues", "Queue", "Queue"),
    ".tab-meta.xml": ("tabs", "CustomTab", "CustomTab"),
    ".trigger-meta.xml": ("triggers", "ApexTrigger", "ApexTrigger"),
    ".workflow-meta.xml": ("workflows", "Workflow", "WorkflowOutboundMessage"),
}
CHILDREN = ("CustomField", "ListView")  # named Object.Member


def root_of(path: Path) -> Element:
    """Raises for what is no XML, and for a document type or entity."""
    found = ElementTree.parse(path, forbid_dtd=True).getroot()
    assert found is not None
    return found


def text(element: Element, path: str) -> str:
    """Of the one child at the path; empty when there is none."""
    return (element.findtext("/".join(NS + part for part in path.split("/"))) or "").strip()


def all_of(element: Element, path: str) -> list[Element]:
    return element.findall("/".join(NS + part for part in path.split("/")))


def metadata_files() -> list[Path]:
    return sorted(SOURCE.rglob("*-meta.xml"))


def suffix_of(path: Path) -> str:
    return next(suffix for suffix in TYPES if path.name.endswith(suffix))


def name_of(path: Path) -> str:
    """As package.xml names it, an outbound message excepted."""
    suffix = suffix_of(path)
    name = path.name.removesuffix(suffix)
    return f"{path.parent.parent.name}.{name}" if TYPES[suffix][2] in CHILDREN else name


def defined() -> dict[str, set[str]]:
    """Type -> members, from the files."""
    found: dict[str, set[str]] = {}
    for path in metadata_files():
        kind = TYPES[suffix_of(path)][2]
        names = {name_of(path)}
        if kind == "WorkflowOutboundMessage":
            names = {
                f"{name_of(path)}.{text(one, 'fullName')}"
                for one in all_of(root_of(path), "outboundMessages")
            }
        found.setdefault(kind, set()).update(names)
    return found


def manifest(name: str) -> dict[str, set[str]]:
    """Type -> members, from a manifest; each type once, each member once."""
    found: dict[str, set[str]] = {}
    for types in all_of(root_of(PACKAGE / name), "types"):
        kind, members = text(types, "name"), [one.text or "" for one in all_of(types, "members")]
        assert kind not in found
        assert len(set(members)) == len(members)
        found[kind] = set(members)
    return found


def field(name: str) -> Element:
    """Of `Object.Field__c`."""
    owner, _, member = name.partition(".")
    return root_of(SOURCE / f"objects/{owner}/fields/{member}.field-meta.xml")


def apex(name: str) -> str:
    return (SOURCE / f"classes/{name}.cls").read_text()
