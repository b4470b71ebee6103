"""What a Salesforce customer deploys is whole: every file is the metadata it claims to be, the manifests name what
exists, and nothing refers to what is not there. An org would say the rest; none is reachable from here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.contract.packages import salesforce_source as sf

# Object Reference: the standard fields of Case that the package names. A required one takes no field permission.
CASE_FIELDS = {
    "CaseNumber",
    "CreatedDate",
    "Description",
    "Id",
    "LastModifiedById",
    "LastModifiedDate",
    "Origin",
    "OwnerId",
    "Priority",
    "Status",
    "Subject",
    "SystemModstamp",
    "Type",
}
STANDARD_OBJECTS = {"Case", "UserExternalCredential"}
# Absent on purpose: HitlHubMessageTest shows that a deleted field of the allow-list stops nothing.
DELETED = "Deleted_Long_Ago__c"

DEFINED = sf.defined()
CUSTOM = re.compile(r"\b\w+?__(?:c|mdt)\b")
FLOW = sf.root_of(sf.SOURCE / "flows/HITL_Escalate_By_Outbound_Message.flow-meta.xml")
MESSAGE = sf.all_of(sf.root_of(sf.SOURCE / "workflows/Case.workflow-meta.xml"), "outboundMessages")[0]


@pytest.mark.parametrize("path", sf.metadata_files(), ids=lambda path: path.name)
def test_a_file_is_the_metadata_that_its_name_says(path: Path) -> None:
    folder, root, kind = sf.TYPES[sf.suffix_of(path)]
    element = sf.root_of(path)
    assert element.tag == sf.NS + root
    assert folder in (path.parent.name, path.parent.parent.name)
    name = sf.name_of(path)
    assert sf.text(element, "fullName") in ("", name.rpartition(".")[2] if kind in sf.CHILDREN else name)


def test_every_file_is_metadata_or_the_code_beside_it() -> None:
    others = {path for path in sf.SOURCE.rglob("*") if path.is_file()} - set(sf.metadata_files())
    wanted = {
        path.with_name(path.name.removesuffix("-meta.xml"))
        for path in sf.metadata_files()
        if path.name.endswith((".cls-meta.xml", ".trigger-meta.xml"))
    }
    assert others == wanted


def test_the_manifest_names_everything_and_nothing_else() -> None:
    assert sf.manifest("manifest/package.xml") == DEFINED


@pytest.mark.parametrize("name", ["signed", "zero-code"])
def test_a_manifest_of_one_way_is_complete_in_itself(name: str) -> None:
    members = sf.manifest(f"manifest/{name}.xml")
    for kind, names in members.items():
        assert names <= DEFINED[kind], kind
    known = {one for names in members.values() for one in names}
    known |= {one.rpartition(".")[2] for one in known}
    missing: set[str] = set()
    for path in sf.metadata_files():
        kind = sf.TYPES[sf.suffix_of(path)][2]
        name_in = sf.name_of(path)
        if kind == "WorkflowOutboundMessage" or name_in not in members.get(kind, set()):
            continue
        element = sf.root_of(path)
        texts = [
            (one.text or "")
            for one in element.iter()
            if not one.tag.endswith(("escription", "relationshipName"))
        ]
        wanted = {word for value in texts for word in re.findall(r"\bH[iI][tT][lL]\w+|\b\w+__c\b", value)}
        missing |= {f"{path.name}: {word}" for word in wanted - known}
    assert missing == set()


def test_uninstalling_takes_away_all_but_the_flow() -> None:
    removed = sf.manifest("uninstall/destructiveChanges.xml")
    assert sf.manifest("uninstall/package.xml") == {}
    # A Flow is deleted version by version in Setup; fields and list views of our own objects go with these.
    expected = {kind: names for kind, names in DEFINED.items() if kind not in ("Flow", "ListView")}
    expected["CustomField"] = {name for name in DEFINED["CustomField"] if name.startswith("Case.")}
    assert removed == expected


def test_the_delivery_key_makes_a_second_insert_fail() -> None:
    key = sf.field("HITL_Delivery__c.Delivery_Key__c")
    said = {
        name: sf.text(key, name) for name in ("type", "unique", "externalId", "caseSensitive", "required")
    }
    assert said == {
        "type": "Text",
        **dict.fromkeys(("unique", "externalId", "caseSensitive", "required"), "true"),
    }
    assert int(sf.text(key, "length")) >= 64
    assert sf.text(sf.field("HITL_Delivery__c.Case__c"), "referenceTo") == "Case"


@pytest.mark.parametrize("name", ["Event_Id__c", "Dedupe_Key__c"])
def test_an_event_is_in_the_outbox_once(name: str) -> None:
    assert sf.text(sf.field(f"HITL_Outbox__c.{name}"), "unique") == "true"


def test_secrets_are_encrypted_and_private() -> None:
    value = sf.field("HITL_Secret__c.Value__c")
    assert (sf.text(value, "type"), sf.text(value, "maskType")) == ("EncryptedText", "all")
    owner = sf.root_of(sf.SOURCE / "objects/HITL_Secret__c/HITL_Secret__c.object-meta.xml")
    assert sf.text(owner, "sharingModel") == "Private"
    readers = [
        path.name for path in sf.SOURCE.glob("permissionsets/*.xml") if "HITL_Secret__c" in path.read_text()
    ]
    assert readers == ["HITL_Hub_Admin.permissionset-meta.xml"]


@pytest.mark.parametrize("path", sorted(sf.SOURCE.glob("permissionsets/*.xml")), ids=lambda path: path.name)
def test_a_permission_set_grants_what_exists(path: Path) -> None:
    element = sf.root_of(path)
    for one in sf.all_of(element, "fieldPermissions"):
        owner, _, name = sf.text(one, "field").partition(".")
        if owner == "Case" and not name.endswith("__c"):
            # Status, OwnerId and the like are required and take none; a deployment with one fails.
            assert name in {"Description", "Origin", "Priority", "Type"}
            continue
        assert f"{owner}.{name}" in DEFINED["CustomField"]
        assert sf.text(sf.field(f"{owner}.{name}"), "required") != "true", name
    objects = {sf.text(one, "object") for one in sf.all_of(element, "objectPermissions")}
    assert objects <= DEFINED["CustomObject"] | STANDARD_OBJECTS
    for tag, child, kind in (
        ("classAccesses", "apexClass", "ApexClass"),
        ("customPermissions", "name", "CustomPermission"),
        ("tabSettings", "tab", "CustomTab"),
    ):
        assert {sf.text(one, child) for one in sf.all_of(element, tag)} <= DEFINED.get(kind, set())
    principals = {
        sf.text(one, "externalCredentialPrincipal")
        for one in sf.all_of(element, "externalCredentialPrincipalAccesses")
    }
    assert principals <= {"HITL_Hub-HITL_Hub"}


def test_the_integration_user_may_do_what_the_hub_does_and_no_more() -> None:
    element = sf.root_of(sf.SOURCE / "permissionsets/HITL_Hub_Integration.permissionset-meta.xml")
    rights = {
        sf.text(one, "object"): {
            right for right in ("Create", "Read", "Edit", "Delete") if sf.text(one, f"allow{right}") == "true"
        }
        for one in sf.all_of(element, "objectPermissions")
    }
    assert rights == {"Case": {"Read", "Edit"}, "HITL_Delivery__c": {"Create", "Read"}}
    assert [sf.text(one, "name") for one in sf.all_of(element, "customPermissions")] == [
        "HITL_Integration_User"
    ]


def test_the_named_credential_uses_the_external_credential() -> None:
    named = sf.root_of(sf.SOURCE / "namedCredentials/HITL_Hub.namedCredential-meta.xml")
    used = [sf.text(one, "externalCredential") for one in sf.all_of(named, "namedCredentialParameters")]
    assert "HITL_Hub" in used
    assert sf.text(named, "generateAuthorizationHeader") == "false"
    assert "'callout:HITL_Hub'" in sf.apex("HitlHubSender")


def test_the_outbound_message_sends_what_the_hub_needs() -> None:
    fields = {one.text for one in sf.all_of(MESSAGE, "fields")}
    assert fields == {
        "Id",
        "CaseNumber",
        "CreatedDate",
        "LastModifiedDate",
        "LastModifiedById",
        "SystemModstamp",
        "Subject",
        "Description",
        "Priority",
        "Status",
        "OwnerId",
    }
    assert fields <= CASE_FIELDS
    assert sf.text(MESSAGE, "includeSessionId") == "false"
    assert sf.text(MESSAGE, "useDeadLetterQueue") == "true"
    assert sf.text(MESSAGE, "endpointUrl").startswith("https://")


def test_the_flow_refers_to_what_exists() -> None:
    words = {one.text for one in FLOW.iter() if one.text}
    known = CASE_FIELDS | {
        name.partition(".")[2] for name in DEFINED["CustomField"] if name.startswith("Case.")
    }
    used = {match for word in words for match in re.findall(r"\$Record(?:__Prior)?\.(\w+)", word)}
    assert used == {"HITL_Requested__c", "Id", "OwnerId"}
    assert used <= known
    permissions = {match for word in words for match in re.findall(r"\$Permission\.(\w+)", word)}
    assert permissions == DEFINED["CustomPermission"]
    action = sf.all_of(FLOW, "actionCalls")[0]
    assert sf.text(action, "actionType") == "outboundMessage"
    assert {sf.text(action, "actionName")} == DEFINED["WorkflowOutboundMessage"]
    queue = next(
        sf.text(one, "value/stringValue")
        for one in sf.all_of(FLOW, "recordLookups/filters")
        if sf.text(one, "field") == "DeveloperName"
    )
    assert {queue} == DEFINED["Queue"]


def test_the_flow_reaches_every_element_from_its_start() -> None:
    kinds = ("actionCalls", "decisions", "recordLookups")
    elements = {sf.text(one, "name"): one for kind in kinds for one in sf.all_of(FLOW, kind)}
    start = sf.all_of(FLOW, "start")[0]
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for one in waiting.pop().iter(sf.NS + "targetReference"):
            if one.text and one.text not in reached:
                reached.add(one.text)
                waiting.append(elements[one.text])
    assert reached == set(elements)
    assert (sf.text(start, "object"), sf.text(start, "triggerType")) == ("Case", "RecordAfterSave")
    # Beside the trigger it would escalate twice: a customer activates one of them.
    assert sf.text(FLOW, "status") == "Draft"


def test_elements_of_one_kind_stand_together() -> None:
    """The Metadata API refuses a Flow whose elements of one kind are split by another ("duplicated at this location")."""
    tags = [one.tag for one in FLOW]
    groups = [tag for at, tag in enumerate(tags) if at == 0 or tags[at - 1] != tag]
    assert len(groups) == len(set(groups))


def test_apex_is_off_until_somebody_turns_it_on() -> None:
    record = sf.root_of(sf.SOURCE / "customMetadata/HITL_Setting.Default.md-meta.xml")
    values = {sf.text(one, "field"): sf.text(one, "value") for one in sf.all_of(record, "values")}
    assert values == {"Enabled__c": "false", "Inbound_Path__c": "/hooks/in/sf-prod", "Queue__c": "HITL_Hub"}


@pytest.mark.parametrize("path", sorted(sf.SOURCE.glob("customMetadata/*.xml")), ids=lambda path: path.name)
def test_a_metadata_record_fits_its_type(path: Path) -> None:
    kind = f"{path.name.partition('.')[0]}__mdt"
    element = sf.root_of(path)
    fields = {sf.text(one, "field") for one in sf.all_of(element, "values")}
    assert fields == {
        name.partition(".")[2] for name in DEFINED["CustomField"] if name.startswith(f"{kind}.")
    }
    if kind == "HITL_Field__mdt":
        allowed = {sf.text(one, "field"): sf.text(one, "value") for one in sf.all_of(element, "values")}
        assert allowed["Field__c"] in CASE_FIELDS


def test_the_code_names_fields_and_objects_that_exist() -> None:
    known = {one for name in DEFINED["CustomField"] for one in name.split(".")} | DEFINED["CustomObject"]
    used = {
        name
        for path in [*sf.SOURCE.glob("classes/*.cls"), *sf.SOURCE.glob("triggers/*.trigger")]
        for name in CUSTOM.findall(path.read_text())
    }
    assert used - known == {DELETED}


def test_what_is_replaced_at_deployment_is_there_and_is_documented() -> None:
    project = json.loads((sf.PACKAGE / "sfdx-project.json").read_text())
    guide = (sf.PACKAGE / "README.md").read_text()
    assert project["packageDirectories"] == [{"path": "force-app", "default": True}]
    for one in project["replacements"]:
        assert one["stringToReplace"] in (sf.PACKAGE / one["filename"]).read_text()
        assert one["replaceWithEnv"] in guide
    for name in ("package", "signed", "zero-code"):
        assert f"manifest/{name}.xml" in guide
