import '@servicenow/sdk/global'

declare global {
    namespace Now {
        namespace Internal {
            interface Keys extends KeysRegistry {
                explicit: {
                    bom_json: {
                        table: 'sys_module'
                        id: 'e7a413922213444ab969d6341aedbb18'
                    }
                    check_api: {
                        table: 'sys_ws_definition'
                        id: '5a274131d5794777908b9afe7553815f'
                    }
                    check_get: {
                        table: 'sys_ws_operation'
                        id: '2edb9ec6de7c476ba7b90bb24f93a267'
                    }
                    closed_states: {
                        table: 'sys_properties'
                        id: '38d1c70821bd4c58bfb0d5bd349069b1'
                    }
                    condition: {
                        table: 'sys_properties'
                        id: '8f96e352420e4d76981d6915deb8fac1'
                    }
                    drain: {
                        table: 'sysauto_script'
                        id: 'ce78141120384d54953135d956389032'
                    }
                    drain_include: {
                        table: 'sys_script_include'
                        id: 'b1152b909dfc41688b01b93c64311c81'
                    }
                    fields: {
                        table: 'sys_properties'
                        id: '71bef0327a99407294ff8c23a7d6d735'
                    }
                    group: {
                        table: 'sys_properties'
                        id: '7c2f365ad3f941469af17039420f5dd3'
                    }
                    integration_user: {
                        table: 'sys_properties'
                        id: '7bf31073763442d3996353b81feeba48'
                    }
                    may_call: {
                        table: 'sys_security_acl'
                        id: '86b9bf54d57f4298be2398b1263c7c76'
                    }
                    notice: {
                        table: 'sys_script'
                        id: '01806116e1b7411f9960b0eaabbd55e8'
                    }
                    package_json: {
                        table: 'sys_module'
                        id: '95725e3c4c014efb8a06128250535e6a'
                    }
                    request_field: {
                        table: 'sys_properties'
                        id: '56ddb4ad162b4dbbaed5f6e542d5a9ce'
                    }
                    results_api: {
                        table: 'sys_ws_definition'
                        id: 'b618de1426624e4a8928d619e514a5be'
                    }
                    results_include: {
                        table: 'sys_script_include'
                        id: 'cea493c02412474b92d1b0ef95fc300a'
                    }
                    results_put: {
                        table: 'sys_ws_operation'
                        id: '7cd410e624d049f49551abe6fd33125a'
                    }
                    rule_include: {
                        table: 'sys_script_include'
                        id: '9d3aaafd18af49428b41844b3364f51c'
                    }
                    secret: {
                        table: 'sys_properties'
                        id: 'e84a6729ca01435fb0e25dd5a9d38560'
                    }
                    secret_old: {
                        table: 'sys_properties'
                        id: '00a360df66da43c6afa85bc787b689ae'
                    }
                    signer: {
                        table: 'sys_script_include'
                        id: 'a953cd66241845d9b17868071336334c'
                    }
                    src_server_check_route_js: {
                        table: 'sys_module'
                        id: '9b3fa34d462d449bbb57bd464617aa48'
                    }
                    src_server_drain_js: {
                        table: 'sys_module'
                        id: 'e29418c684584b93bddf326f51b08690'
                    }
                    src_server_drain_script_js: {
                        table: 'sys_module'
                        id: '2c66567e244b4e08bc0c3eaf330eb52e'
                    }
                    src_server_results_js: {
                        table: 'sys_module'
                        id: '36fc0f9e19274e5ba118acce55e92f5a'
                    }
                    src_server_results_route_js: {
                        table: 'sys_module'
                        id: 'd829ee4bfeaa48f5964ee5081208955c'
                    }
                    src_server_rule_js: {
                        table: 'sys_module'
                        id: 'fbbf7983b8c444ca88891b2177f61e82'
                    }
                    src_server_rule_script_js: {
                        table: 'sys_module'
                        id: '14f4b44ad8654136a072c3542b194a1c'
                    }
                    src_server_signer_js: {
                        table: 'sys_module'
                        id: '4967d2a34e384954a7c8bbd525968975'
                    }
                    tables: {
                        table: 'sys_properties'
                        id: 'ba7769b34e9a4246af7b8920e7fdf4c1'
                    }
                    url: {
                        table: 'sys_properties'
                        id: 'a0bcc871e3b44c76bb69e0682a58db05'
                    }
                }
                composite: [
                    {
                        table: 'sys_choice'
                        id: '07a6f2179747483e9c103a4af0f0e593'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'state'
                            value: 'done'
                            language: 'en'
                            dependent_value: 'NULL'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '16918b3f25574bb19893b9f00eb121c9'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'state'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '17284ae780114082b5de8d2db2a021f4'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'state'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '1bce6c3e5a554c1a847ebd9c2999e29f'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'NULL'
                        }
                    },
                    {
                        table: 'sys_choice'
                        id: '1cecafd8a42740eb94916aa86d5c0f18'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'state'
                            value: 'dead'
                            language: 'en'
                            dependent_value: 'NULL'
                        }
                    },
                    {
                        table: 'ua_table_licensing_config'
                        id: '2675b4fedcda4da2b69d91a61ee7b1ea'
                        key: {
                            name: 'x_hitl_hub_outbox'
                        }
                    },
                    {
                        table: 'sys_user_role'
                        id: '2c190681555a4ff181beb353f24e928a'
                        key: {
                            name: 'x_hitl_hub.integration'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '30c8c5f6cb64462ea2565719fb25f8c4'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'record'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '3904bfbb5b0948a99051d1ca90ddf5af'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'payload'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '400fc5bb1f2c4c008f419ee1ba08b03d'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'event_id'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_choice'
                        id: '43badd8b6f494748a20823eaf9e5fafa'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'state'
                            value: 'refused'
                            language: 'en'
                            dependent_value: 'NULL'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '4748a91d15c7475ca221cd2210c2fa65'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'delivery_key'
                        }
                    },
                    {
                        table: 'sys_choice_set'
                        id: '4906942a6987417bb66a7d1733299be3'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'state'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '4dbbc2cb599a4e519939791b3c026932'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'state'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '5b10bdda3a1d45bf81b6d06e1a8d2179'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'record'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '5b7b6646957244c088a53716ff46f20a'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'attempts'
                        }
                    },
                    {
                        table: 'sys_choice'
                        id: '5e968a198e8c4a548e033845cffd86d3'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'state'
                            value: 'done'
                            language: 'en'
                            dependent_value: 'NULL'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '647c7483ee5d4d9184281ad9c6144d82'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'payload'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_db_object'
                        id: '6a48d13ac75f4480840e6f44b44518bf'
                        key: {
                            name: 'x_hitl_hub_delivery'
                        }
                    },
                    {
                        table: 'sys_index'
                        id: '6d27bff2d4114fe48d524c1cacb4948d'
                        key: {
                            logical_table_name: 'x_hitl_hub_outbox'
                            col_name_string: 'event_id'
                        }
                    },
                    {
                        table: 'sys_user_role'
                        id: '6e2f1b10d3b14524b5c8f7c0768d5c5c'
                        key: {
                            name: 'x_hitl_hub.manager'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '786485b94c7d490f9258515b7fedd53e'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'answer'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '82ddd64b0ae24edd9aa0a082f936f19b'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'next_at'
                        }
                    },
                    {
                        table: 'ua_table_licensing_config'
                        id: '83061ced28604921878c9d73d4275907'
                        key: {
                            name: 'x_hitl_hub_delivery'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '83ea0c11112d4fe69abac7d876a18162'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'event_id'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '8408bd034dd94b7797ffea8a5fe6d5c7'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'NULL'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '8739b8e55bf2471eb48db69ce3e61bef'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'next_at'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_index'
                        id: '8874eac75e3b4406bda47764da83199a'
                        key: {
                            logical_table_name: 'x_hitl_hub_delivery'
                            col_name_string: 'delivery_key'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '8aac0af99c0549dc82c93243749375fe'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'NULL'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_db_object'
                        id: '8ce2c36193fb405bb5609e1882225ff4'
                        key: {
                            name: 'x_hitl_hub_outbox'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '92f4dda2d3234b5eaa5a9bec6cac350a'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'attempts'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '99cb6d9065e246d2ae9fe5a2c3f1cb5c'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'record'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: 'a471b116c2244aedb9dd092b75df452b'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'outcome'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: 'a5b19c4ed8204b7181e4b272622b8ac1'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'record'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_choice'
                        id: 'ad4eed837bd64fce9f50fc44f0ba8977'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'state'
                            value: 'new'
                            language: 'en'
                            dependent_value: 'NULL'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: 'b74fc2521bde4b8384fecf2e89ccef6e'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'NULL'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: 'bd90a27d885440c18b876590fcbb466c'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'answer'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: 'bdee0280857c40c99d67da603c16e13e'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'delivery_key'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: 'd16cb67e7d7b4f8a9354fba0d63979dc'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'attempts'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_choice'
                        id: 'daeaf36b2b6a434fbb2ef22c5d236554'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'state'
                            value: 'pending'
                            language: 'en'
                            dependent_value: 'NULL'
                        }
                    },
                    {
                        table: 'sys_index'
                        id: 'dd12d4368cd04dabac1b0185b89bd71c'
                        key: {
                            logical_table_name: 'x_hitl_hub_outbox'
                            col_name_string: 'state,next_at'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: 'dfbc7fc9b0784d618e1f7b7e34af2fd8'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'state'
                        }
                    },
                    {
                        table: 'sys_security_acl_role'
                        id: 'e0633c6db3674aacbb74b7f90e86bd1c'
                        key: {
                            sys_security_acl: '86b9bf54d57f4298be2398b1263c7c76'
                            sys_user_role: {
                                id: '2c190681555a4ff181beb353f24e928a'
                                key: {
                                    name: 'x_hitl_hub.integration'
                                }
                            }
                        }
                    },
                    {
                        table: 'sys_choice_set'
                        id: 'e44d93ac19dd4054ae6c24fa709b4ec9'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'state'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: 'e5292930987742658e56605e91472406'
                        key: {
                            name: 'x_hitl_hub_outbox'
                            element: 'attempts'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: 'ee29023f884d412581ca5d2759667647'
                        key: {
                            name: 'x_hitl_hub_delivery'
                            element: 'outcome'
                        }
                    },
                ]
            }
        }
    }
}
